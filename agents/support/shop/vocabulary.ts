/** Names, places and products that the generated shop is made of. */
export const FIRST_NAMES: readonly string[] =
  'Ana, Omar, Chloe, Mateo, Ingrid, Kenji, Fatima, Lukas, Priya, Noah, Sofia, Tariq, Elena, Samuel, Yuki, Hannah, Diego, Amina, Peter, Leila, Marco, Nadia, Victor, Grace, Ivan, Rosa'.split(
    ', ',
  );

export const LAST_NAMES: readonly string[] =
  'Almeida, Berg, Costa, Dupont, Eriksen, Fischer, Garcia, Hansen, Ito, Jensen, Kowalski, Lopez, Moreau, Novak, Okafor, Patel, Quinn, Rossi, Schmidt, Torres, Ueda, Vargas, Walker, Yilmaz'.split(
    ', ',
  );

export const STREETS: readonly string[] =
  'Station Road, Mill Lane, Harbour Street, Park Avenue, Church Street, Garden Way, Bridge Street, Market Square, Orchard Close, River Walk, Castle Hill, Linden Avenue'.split(
    ', ',
  );

export const CITIES: readonly { readonly city: string; readonly country: string }[] = [
  { city: 'Lisbon', country: 'Portugal' },
  { city: 'Porto', country: 'Portugal' },
  { city: 'Madrid', country: 'Spain' },
  { city: 'Berlin', country: 'Germany' },
  { city: 'Hamburg', country: 'Germany' },
  { city: 'Lyon', country: 'France' },
  { city: 'Milan', country: 'Italy' },
  { city: 'Dublin', country: 'Ireland' },
  { city: 'Oslo', country: 'Norway' },
  { city: 'Boston', country: 'United States' },
  { city: 'Denver', country: 'United States' },
  { city: 'Toronto', country: 'Canada' },
];

export const CARRIERS: readonly string[] = ['DHL', 'UPS', 'FedEx', 'DPD'];

export const REFUND_REASONS: readonly string[] = [
  'arrived damaged',
  'wrong item',
  'not as described',
  'changed my mind',
  'arrived late',
];

/** Adjectives that give each kind of product ten variants. */
export const VARIANTS: readonly string[] =
  'Classic, Compact, Large, Nordic, Travel, Everyday, Slim, Studio, Heritage, Rustic'.split(', ');

/** Thirty kinds of product with the range of their prices, in cents. */
export const PRODUCT_KINDS: readonly {
  readonly noun: string;
  readonly category: string;
  readonly minCents: number;
  readonly maxCents: number;
}[] = [
  { noun: 'Stoneware Mug', category: 'kitchen', minCents: 900, maxCents: 2600 },
  { noun: 'Teapot', category: 'kitchen', minCents: 2400, maxCents: 6900 },
  { noun: 'Chef Knife', category: 'kitchen', minCents: 3500, maxCents: 14900 },
  { noun: 'Cast Iron Pan', category: 'kitchen', minCents: 3900, maxCents: 11900 },
  { noun: 'Cutting Board', category: 'kitchen', minCents: 1800, maxCents: 5900 },
  { noun: 'Coffee Grinder', category: 'kitchen', minCents: 3900, maxCents: 18900 },
  { noun: 'Espresso Machine', category: 'kitchen', minCents: 14900, maxCents: 59900 },
  { noun: 'Electric Kettle', category: 'kitchen', minCents: 2900, maxCents: 9900 },
  { noun: 'Desk Lamp', category: 'lighting', minCents: 2500, maxCents: 12900 },
  { noun: 'Floor Lamp', category: 'lighting', minCents: 5900, maxCents: 24900 },
  { noun: 'Pendant Light', category: 'lighting', minCents: 4900, maxCents: 19900 },
  { noun: 'Candle Holder', category: 'lighting', minCents: 900, maxCents: 3900 },
  { noun: 'Wool Blanket', category: 'bedroom', minCents: 4900, maxCents: 17900 },
  { noun: 'Linen Pillowcase', category: 'bedroom', minCents: 1900, maxCents: 4900 },
  { noun: 'Duvet Cover', category: 'bedroom', minCents: 3900, maxCents: 15900 },
  { noun: 'Alarm Clock', category: 'bedroom', minCents: 1500, maxCents: 5900 },
  { noun: 'Bath Towel', category: 'bathroom', minCents: 1200, maxCents: 3900 },
  { noun: 'Soap Dispenser', category: 'bathroom', minCents: 900, maxCents: 2900 },
  { noun: 'Shower Curtain', category: 'bathroom', minCents: 1500, maxCents: 4900 },
  { noun: 'Laundry Basket', category: 'bathroom', minCents: 2400, maxCents: 6900 },
  { noun: 'Bookshelf', category: 'furniture', minCents: 7900, maxCents: 34900 },
  { noun: 'Side Table', category: 'furniture', minCents: 5900, maxCents: 22900 },
  { noun: 'Office Chair', category: 'furniture', minCents: 12900, maxCents: 49900 },
  { noun: 'Storage Bench', category: 'furniture', minCents: 8900, maxCents: 27900 },
  { noun: 'Planter', category: 'garden', minCents: 1200, maxCents: 7900 },
  { noun: 'Watering Can', category: 'garden', minCents: 1500, maxCents: 4900 },
  { noun: 'Pruning Shears', category: 'garden', minCents: 1900, maxCents: 6900 },
  { noun: 'Backpack', category: 'travel', minCents: 4900, maxCents: 17900 },
  { noun: 'Water Bottle', category: 'travel', minCents: 1500, maxCents: 4500 },
  { noun: 'Umbrella', category: 'travel', minCents: 1900, maxCents: 6900 },
];
