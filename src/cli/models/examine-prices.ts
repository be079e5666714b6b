import { effectiveModelId, modelPrice } from '../../activities/model/providers.ts';
import type { Agent } from '../../authoring/define-agent.ts';
import { BUILT_IN_PRICES, findPrice, PRICE_TABLE, type PriceBook } from '../../domain/model/price-table.ts';
import type { Environment } from '../../runtime/config.ts';
import { openPriceBook, priceTableAge, PRICES_STALE_DAYS, stalePrices } from '../../runtime/price-book.ts';
import { fail, type Finding, ok, warn } from '../doctor/finding.ts';
import { formatCount } from '../format/units.ts';
import { usdPerMillion } from './price-view.ts';

/** Tiers that an agent can name a model for. */
const TIERS = ['small', 'standard', 'strong'] as const;

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
    return [...findings, ok('price file', `${file.version}, ${formatCount(file.prices.length, 'model')}`)];
  } catch (error) {
    return [
      ...findings,
      fail('price file', (error as Error).message, 'put the file right; docs/models-and-prices.md says how'),
    ];
  }
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
 * Looks up the price of each model that a run of the agents can get here. No key is needed for it.
 *
 * @throws ConfigurationError, ModelUnavailable for a price file or a ceiling that cannot be used.
 */
export function examineModelPrices(agents: readonly Agent[], env: Environment, book: PriceBook): readonly AgentModel[] {
  const users = new Map<string, string[]>();
  for (const { name, models } of agents) {
    const ids = TIERS.flatMap((tier) => models[tier]?.id ?? []).map((id) => effectiveModelId(id, env));
    for (const id of new Set(ids)) users.set(id, [...(users.get(id) ?? []), name]);
  }
  return [...users].map(([id, names]) => ({ id, agents: names, ...priceOf(id, env, book) }));
}

function priceOf(id: string, env: Environment, prices: PriceBook): Omit<AgentModel, 'id' | 'agents'> {
  const provider = id.slice(0, Math.max(0, id.indexOf(':')));
  const name = id.slice(id.indexOf(':') + 1);
  if (provider === 'rehearsal' || provider === 'scripted') {
    return { price: 'simulated', input: null, output: null, version: null };
  }
  const price = modelPrice({ env, prices }, provider, name);
  if (price === null) return { price: 'none', input: null, output: null, version: null };
  const found = findPrice(provider, name, prices);
  const isCeiling = price.version.startsWith('ceiling-') || (found?.from === 'file' && found.isCeiling);
  return {
    price: isCeiling ? 'ceiling' : 'known',
    input: usdPerMillion(price.base.input),
    output: usdPerMillion(price.base.output),
    version: price.version,
  };
}
