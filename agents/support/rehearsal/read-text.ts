/** What a customer may want. One message can ask for two things: cancel an order and pay it back. */
export type Intent =
  | 'refund'
  | 'cancel'
  | 'change-address'
  | 'status'
  | 'orders'
  | 'product'
  | 'complaint'
  | 'greeting'
  | 'thanks'
  | 'declined';

export type Address = {
  readonly street: string;
  readonly postalCode: string;
  readonly city: string;
  readonly country: string;
};

/** What one message says. */
export type Reading = {
  readonly intents: ReadonlySet<Intent>;
  readonly orderIds: readonly string[];
  readonly email: string | null;
  readonly name: string | null;
  readonly amountUsd: number | null;
  readonly address: Address | null;
  /** Words to search products by. */
  readonly query: string | null;
  readonly reason: string | null;
  readonly answer: 'yes' | 'no' | null;
};

/** Reads a message of a customer by rules: patterns of English words, ids, addresses and amounts. */
export function readText(text: string): Reading {
  const orderIds = [...text.matchAll(/\bA-?(\d{4,6})\b/gi)].map((match) => `A-${match[1]}`);
  const amount = /(\d+(?:\.\d{1,2})?)\s?(?:USD|dollars?\b|\$)|\$\s?(\d+(?:\.\d{1,2})?)/i.exec(text);
  const address = readAddress(text);
  const intents = readIntents(text, { hasAddress: address !== null, hasOrder: orderIds.length > 0 });
  return {
    intents,
    orderIds: [...new Set(orderIds)],
    email: /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/.exec(text)?.[0].toLowerCase() ?? null,
    name: NAME.exec(text)?.[1] ?? null,
    amountUsd: amount === null ? null : Number(amount[1] ?? amount[2]),
    address,
    query: intents.has('product') ? searchWords(text) : null,
    reason: REASONS.find(([, pattern]) => pattern.test(text))?.[0] ?? null,
    answer: readAnswer(text),
  };
}

const NAME =
  /\b(?:[Tt]his is|[Ii] am|[Ii]['’]m|[Mm]y name is|[Nn]ame:)\s+(\p{Lu}[\p{L}'’-]+(?: \p{Lu}[\p{L}'’-]+){1,2})/u;

const REASONS: readonly (readonly [reason: string, pattern: RegExp])[] = [
  ['arrived damaged', /\b(?:broken|broke|damaged|cracked|chipped|shattered|defective|faulty)\b/i],
  ['wrong item', /\bwrong (?:item|product|colou?r|size|one)\b/i],
  ['never arrived', /\bnever (?:arrived|came)\b/i],
  ['arrived late', /\b(?:too )?late\b/i],
  ['changed my mind', /\b(?:changed my mind|no longer (?:need|want)|don['’]t (?:need|want|like))\b/i],
];

/** From the clearest wish to the vaguest; small talk counts only where nothing else was said. */
const WISHES: readonly (readonly [intent: Intent, pattern: RegExp])[] = [
  [
    'refund',
    /\b(?:refund|money back|reimburs|return(?:ing)? (?:it|this|the|my|order)|send (?:it|this) back|pay (?:me )?back)/i,
  ],
  ['cancel', /\bcancel/i],
  [
    'change-address',
    /\b(?:(?:new|change|different|another|wrong|update)\b.{0,40}\baddress|moved house|(?:send|ship|deliver) (?:it|this) to\b)/i,
  ],
  [
    'orders',
    /\b(?:(?:my|list|recent|latest|last|all)(?: the)? orders|orders (?:do|did) i have|what (?:have|did) i order)/i,
  ],
  [
    'product',
    /\b(?:do you (?:have|sell|carry|stock)|price of|how much (?:is|are|does|do)|in stock|looking for|recommend|products?)\b/i,
  ],
  [
    'status',
    /\b(?:where(?:['’]s| is| are)?|status|track(?:ing)?|arrive[sd]?|when (?:will|does|is)|look up|details|deliver(?:y|ed)|shipped)\b/i,
  ],
];

const COMPLAINT =
  /\b(?:unhappy|terrible|awful|disappoint\w*|complain\w*|missing|unacceptable|not working|poor quality)\b/i;
/** Questions about a refund that was made are questions about the order. */
const REFUND_QUESTION = /\b(?:where|when|status|did you|have you|has|was)\b[^.!]{0,30}\brefund(?:ed)?\b/i;
const NEGATED_WISH =
  /\b(?:don['’]t|do not|not to|without)\s+(?:want\s+)?(?:to\s+)?(?:a\s+|any\s+)?(?:refund|cancel)\w*/gi;

function readIntents(
  text: string,
  found: { readonly hasAddress: boolean; readonly hasOrder: boolean },
): ReadonlySet<Intent> {
  if (REFUND_QUESTION.test(text)) return new Set(['status']);
  const plain = text.replaceAll(NEGATED_WISH, '');
  const wishes = WISHES.filter(([, pattern]) => pattern.test(plain)).map(([intent]) => intent);
  const changes = wishes.filter((intent) => intent === 'refund' || intent === 'cancel');
  if (changes.length > 0) return new Set(changes);
  if (found.hasAddress) return new Set(['change-address']);
  const isComplaint = COMPLAINT.test(text) || REASONS.some(([, pattern]) => pattern.test(text));
  // “It arrived damaged” tells of a delivery without asking for its status.
  const isTelling = wishes[0] === undefined || (wishes[0] === 'status' && !text.includes('?'));
  if (isComplaint && isTelling) return new Set(['complaint']);
  if (wishes[0] !== undefined) return new Set([wishes[0]]);
  if (found.hasOrder) return new Set();
  if (/\b(?:thanks|thank you|cheers|great|perfect)\b/i.test(text)) return new Set(['thanks']);
  return /^\s*(?:hi|hello|hey|good (?:morning|afternoon|evening))\b.{0,20}$/is.test(text)
    ? new Set(['greeting'])
    : new Set();
}

function readAnswer(text: string): 'yes' | 'no' | null {
  if (/^\s*(?:yes|yeah|yep|sure|ok(?:ay)?|please do|go ahead|correct)\b/i.test(text)) return 'yes';
  return /^\s*(?:no|nope|never mind|leave it)\b/i.test(text) ? 'no' : null;
}

/** A street with its number, a comma, a postal code and a city, a comma, a country. */
const ADDRESS =
  /((?<![-.\p{L}\d])\d+\w?\s+\p{L}[^,;\n]{2,60}|(?<=\b(?:to|address|is):?\s)\p{L}[\p{L} .'’-]{2,40}\s\d+\w?),\s*(\S*\d\S*(?:\s\S*\d\S*)?)\s+(\p{L}[\p{L} .'’-]*),\s*(\p{L}[\p{L} ]+)/u;

function readAddress(text: string): Address | null {
  const match = ADDRESS.exec(text);
  if (match === null) return null;
  const [street = '', postalCode = '', city = '', country = ''] = match.slice(1).map((part) => part.trim());
  return { street, postalCode, city, country: country.replace(/\s+(?:please|thanks|thank you|instead)\b.*$/i, '') };
}

const STOP_WORDS = new Set(
  'a,an,and,any,are,available,buy,can,carry,cost,costs,do,does,for,have,hello,help,hi,how,i,in,is,it,like,looking,me,much,my,need,of,on,one,or,please,price,product,products,recommend,sell,some,something,stock,that,the,there,to,under,want,what,which,with,would,you,your'.split(
    ',',
  ),
);

/** Keeps the last three words that say something; a plural s is dropped, because names are in the singular. */
function searchWords(text: string): string | null {
  const words = text
    .toLowerCase()
    .split(/[^\p{L}\d-]+/u)
    .filter((word) => word.length > 1 && !STOP_WORDS.has(word))
    .map((word) => (/[^s]s$/.test(word) ? word.slice(0, -1) : word));
  return words.length === 0 ? null : words.slice(-3).join(' ');
}
