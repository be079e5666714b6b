import { effectiveModelId, findModelPrice, modelPrice } from '../../activities/model/providers.ts';
import { findProvider } from '../../activities/model/provider-table.ts';
import type { Agent } from '../../authoring/define-agent.ts';
import { chainOf, TIERS } from '../../domain/model/model-policy.ts';
import { isCeiling } from '../../domain/model/price.ts';
import { BUILT_IN_PRICES, type OwnPrice, PRICE_TABLE, type PriceBook } from '../../domain/model/price-table.ts';
import type { Environment } from '../../runtime/config.ts';
import { openPriceBook, priceTableAge, PRICES_STALE_DAYS, stalePrices } from '../../runtime/price-book.ts';
import { fail, type Finding, ok, warn } from '../doctor/finding.ts';
import { formatCount } from '../format/units.ts';
import { usdPerMillion } from './price-view.ts';

/** Says which table of prices holds here, how old it is, and what goes before it. */
export function examinePriceBook(env: Environment, now: number): readonly Finding[] {
  const subject = 'prices';
  const days = priceTableAge(now);
  const table = `${PRICE_TABLE.version}, fetched ${PRICE_TABLE.fetchedAt}, ${formatCount(days, 'day')} ago`;
  const stale = stalePrices(now);
  const mend = 'install a newer version of Perdure, or write what changed into the file of PERDURE_PRICES_FILE';
  const findings = [
    stale === null ? ok(subject, table) : warn(subject, `${table}: more than ${PRICES_STALE_DAYS}`, mend),
  ];
  try {
    const { file } = openPriceBook(env);
    if (file === null) return findings;
    return [
      ...findings,
      ok('price file', `${file.version}, ${formatCount(file.prices.length, 'model')}`),
      ...file.prices.filter(({ provider }) => findProvider(provider) === null).map(unusedEntry),
    ];
  } catch (error) {
    return [
      ...findings,
      fail('price file', (error as Error).message, 'put the file right; docs/models-and-prices.md says how'),
    ];
  }
}

function unusedEntry({ provider, model: { id } }: OwnPrice): Finding {
  const message = `no model's id can begin with ${provider}:, so nothing has the price of ${provider}:${id}`;
  return warn('price file', message, 'put the name of the provider right, or take the entry out');
}

/** Opens the prices that hold here, or those that are built in where the file cannot be used, which is told by itself. */
export function usablePriceBook(env: Environment): PriceBook {
  try {
    return openPriceBook(env);
  } catch {
    return { ...BUILT_IN_PRICES, now: Date.now };
  }
}

/** A model that a run of an agent can get here, and what is known of its price. */
export type AgentModel = {
  readonly id: string;
  readonly agents: readonly string[];
  /** `none`: its runs are refused. `simulated`: nothing is charged. */
  readonly price: 'known' | 'ceiling' | 'simulated' | 'none';
  /** USD per million tokens; null where there is no price. */
  readonly input: string | null;
  readonly output: string | null;
  readonly version: string | null;
};

/**
 * Looks up the price of each model that a run of the agents can get here, also in another's place. No key is needed for it.
 *
 * @throws ConfigurationError, ModelUnavailable for a price file or a ceiling that cannot be used.
 */
export function examineModelPrices(agents: readonly Agent[], env: Environment, book: PriceBook): readonly AgentModel[] {
  const users = new Map<string, string[]>();
  for (const { name, models } of agents) {
    const chains = TIERS.flatMap((tier) => (models[tier] === undefined ? [] : chainOf(models, tier)));
    const ids = chains.map(({ choice }) => effectiveModelId(choice.id, env));
    for (const id of new Set(ids)) users.set(id, [...(users.get(id) ?? []), name]);
  }
  return [...users].map(([id, names]) => ({ id, agents: names, ...priceOf(id, env, book) }));
}

/** Models of ours, for which nobody charges anything. */
export const SIMULATED: ReadonlySet<string> = new Set(['rehearsal', 'scripted', 'recorded']);

/** Options of providers that make a call dearer or cheaper than its price in the table, which is that of the usual service. */
const PRICED_OPTIONS: ReadonlySet<string> = new Set(['serviceTier', 'service_tier', 'speed', 'inferenceGeo']);

/** Warns of models that are asked for a service whose price the table does not have. */
export function examineService(agents: readonly Agent[], env: Environment, book: PriceBook): readonly Finding[] {
  const findings = agents.flatMap(({ models }) =>
    TIERS.flatMap((tier) => (models[tier] === undefined ? [] : chainOf(models, tier))).flatMap(({ choice }) => {
      const id = effectiveModelId(choice.id, env);
      const [provider = '', name = ''] = id.split(/:(.*)/s);
      const options = Object.values(choice.providerOptions ?? {}).flatMap((each) => Object.keys(each));
      const asked = options.filter((option) => PRICED_OPTIONS.has(option));
      if (asked.length === 0 || findModelPrice({ env, prices: book }, provider, name)?.from !== 'table') return [];
      const mend = 'write what it costs into the file of PERDURE_PRICES_FILE, or calls are charged at the usual price';
      return [warn('model', `${id} is asked for ${asked.join(', ')}, and the table has no price for that`, mend)];
    }),
  );
  return [...new Map(findings.map((finding) => [finding.message, finding])).values()];
}

function priceOf(id: string, env: Environment, prices: PriceBook): Omit<AgentModel, 'id' | 'agents'> {
  const provider = id.slice(0, Math.max(0, id.indexOf(':')));
  const name = id.slice(id.indexOf(':') + 1);
  if (SIMULATED.has(provider)) {
    return { price: 'simulated', input: null, output: null, version: null };
  }
  const price = modelPrice({ env, prices }, provider, name);
  if (price === null) return { price: 'none', input: null, output: null, version: null };
  return {
    price: isCeiling(price) ? 'ceiling' : 'known',
    input: usdPerMillion(price.base.input),
    output: usdPerMillion(price.base.output),
    version: price.version,
  };
}
