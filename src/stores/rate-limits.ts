import { countedTokens, type RateDimension } from '../domain/quota/rate-limit.ts';
import { askRate, holdRate, type RateGrant, type RateState, settleRate } from '../domain/quota/rate-limiter.ts';
import type { Waiter } from '../domain/quota/fair-queue.ts';
import { calibrate, type CallSize, estimateTokens, isWellKnown } from '../domain/quota/token-estimate.ts';
import type { Usage } from '../domain/model/usage.ts';
import type { Db } from './database.ts';
import { type RateRecord, readRates, readWeights, setWeight, type TenantWeight } from './rate-records.ts';
import {
  declareRate,
  forgetUnused,
  insertRate,
  type LockedRate,
  lockRate,
  type RatedCredential,
  writeRate,
} from './rate-rows.ts';

export type { RatedCredential } from './rate-rows.ts';

/** A call that asks whether it may be made. It keeps its id when it asks again. */
export type RateAsk = CallSize & { readonly id: string; readonly runId: string; readonly model: string };

export type RateAsked =
  | { readonly kind: 'granted'; readonly grant: RateGrant; readonly input: number }
  | { readonly kind: 'denied'; readonly dimension: RateDimension; readonly waitMs: number }
  | { readonly kind: 'never'; readonly dimension: RateDimension; readonly limit: number; readonly cost: number };

/**
 * Milliseconds beyond its time after which a call that does not ask again has lost its place: its run was stopped or paused. Longer than a
 * worker's death costs.
 */
const GRACE_MS = 15_000;

/** Milliseconds beyond its time for which room is kept for a call: what a timer and a free worker take. After that the next may have it. */
const LATE_MS = 3_000;

/** Longest wait that a call is told, in milliseconds: by then weights, limits and the queue may be others than was thought. */
const ASK_AGAIN_MS = 120_000;

/** The same before enough is known of a model's calls, in milliseconds: what is reserved for them is then many times what they use. */
const ASK_EARLY_MS = 10_000;

/** Share of a wait that chance adds, so that calls that were denied together do not ask together. */
const JITTER = 0.05;

/** Models of a credential of which it is known what their tokens weigh. */
const MODELS_MAX = 50;

/**
 * Keeps the rates of provider credentials. Whoever asks holds its credential's row for some milliseconds, so that all dimensions and all workers
 * are decided on together, by the clock of the database.
 */
export function createRateLimits(db: Db) {
  const lines = new Map<string, Promise<unknown>>();
  /** One at a time per credential in this process: those who wait for the row must not hold all its connections. */
  const inLine = async <Result>(credential: string, work: () => Promise<Result>): Promise<Result> => {
    const before = lines.get(credential) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    lines.set(credential, settled);
    return mine;
  };
  /** Changes the state of a credential that was declared before. */
  const change = async (
    credential: string,
    tenant: string,
    decide: (row: LockedRate) => RateState | null,
  ): Promise<void> =>
    inLine(credential, async () =>
      db.transaction().execute(async (tx) => {
        const row = await lockRate(tx, credential, tenant);
        const state = row === null ? null : decide(row);
        if (state !== null) await writeRate(tx, credential, state);
      }),
    );
  return {
    /** Asks whether a call may be made now, and puts it into the queue when it may not. */
    ask: async (tenant: string, rated: RatedCredential, asked: RateAsk): Promise<RateAsked> =>
      inLine(rated.credential, async () => {
        const { result, isNew } = await db.transaction().execute(async (tx) => {
          const found = await lockRate(tx, rated.credential, tenant);
          const row = await declareRate(tx, rated, found ?? (await insertRate(tx, rated, tenant)));
          const { state, result: answer } = await ask(tx, tenant, rated.credential, asked, row);
          if (state !== null) await writeRate(tx, rated.credential, state);
          return { result: answer, isNew: found === null };
        });
        // Keys come and go: where a new one is met, those that were given up are forgotten.
        if (isNew) await forgetUnused(db).catch(() => undefined);
        return result;
      }),
    /** Corrects a call that was let through to what it used, and learns from it. Not to be repeated: it counts each time. */
    settle: async (tenant: string, credential: string, { grant, size, actual }: RateSettlement): Promise<void> =>
      change(credential, tenant, ({ limit, state, now, weight }) => {
        const { requests, usage, model, lateMs } = actual;
        const counted = usage === null ? { input: 0, output: 0 } : countedTokens(limit, usage);
        const cost = { requests, tokens: counted.input + counted.output };
        const settled = settleRate(state, limit, { ...grant, weight, lateMs }, cost, now);
        if (usage === null) return settled;
        const models = { ...settled.models, [model]: calibrate(settled.models[model], size, counted) };
        return { ...settled, models: newest(models, model) };
      }),
    /** Lets nothing through for a while: the provider refused a call for its rate. */
    hold: async (tenant: string, credential: string, forMs: number): Promise<void> =>
      change(credential, tenant, ({ limit, state, now }) => holdRate(state, limit, forMs, now)),
    /** Sets how much of a credential a tenant has beside others, and writes down who did. */
    setWeight: async (tenant: string, weight: number, principal: string): Promise<void> =>
      setWeight(db, tenant, weight, principal),
    /** Lists the credentials under a limit, how much is used, and who waits. */
    show: async (): Promise<readonly RateRecord[]> => readRates(db),
    /** Lists the tenants whose weight was set. */
    weights: async (): Promise<readonly TenantWeight[]> => readWeights(db),
    /** Takes the calls of a run out of the queues: they will not be made. */
    leave: async (tenant: string, runId: string): Promise<void> => {
      await db.deleteFrom('rate_waiters').where('tenant', '=', tenant).where('run_id', '=', runId).execute();
    },
  };
}

export type RateSettlement = {
  readonly grant: RateGrant;
  readonly size: CallSize;
  readonly actual: {
    readonly requests: number;
    readonly model: string;
    /** What the provider counted; null where it counted nothing that says something of the next call. */
    readonly usage: Usage | null;
    /** Milliseconds from the grant until the call was sent. */
    readonly lateMs: number;
  };
};

type Asked = { readonly state: RateState | null; readonly result: RateAsked };

async function ask(
  tx: Db,
  tenant: string,
  credential: string,
  { id, runId, model, ...size }: RateAsk,
  { limit, state, now, weight, waiters }: LockedRate,
): Promise<Asked> {
  const { input, output, inputLeast } = estimateTokens(state.models[model], size);
  // What is reserved is a guess from above: only what the prompt has for certain makes a call inadmissible. Where the provider knows better, it says so.
  const tokens = Math.max(inputLeast, Math.min(limit.tokens ?? Number.POSITIVE_INFINITY, input + output));
  const mine = waiters.find((waiter) => waiter.id === id && waiter.tenant === tenant);
  const asking = { id, tenant, weight, cost: { requests: 1, tokens }, since: mine?.since ?? now };
  const others = waiters.filter((waiter) => waiter !== mine && isAwaited(waiter, now));
  const answer = askRate(state, limit, asking, others, now);
  if (waiters.some((waiter) => isOver(waiter, now))) await deleteOver(tx, credential, now);
  switch (answer.kind) {
    case 'never':
      if (mine !== undefined) await deleteWaiter(tx, tenant, credential, id);
      return { state: null, result: answer };
    case 'granted':
      if (mine !== undefined) await deleteWaiter(tx, tenant, credential, id);
      return { state: answer.state, result: { kind: 'granted', grant: answer.grant, input } };
    case 'denied': {
      const { dimension } = answer;
      const isForetold = limit.tokens === null || isWellKnown(state.models[model]);
      const cappedMs = Math.min((isForetold ? ASK_AGAIN_MS : ASK_EARLY_MS) / (1 + JITTER), answer.waitMs);
      const waitMs = Math.ceil(cappedMs * (1 + JITTER * Math.random()));
      await keepWaiter(tx, credential, { ...asking, runId, expiresAt: now + waitMs + GRACE_MS });
      return { state: answer.state, result: { kind: 'denied', dimension, waitMs } };
    }
  }
}

/** Says whether room is kept for a call that waits. */
function isAwaited(waiter: { readonly expiresAt: number }, now: number): boolean {
  return waiter.expiresAt > now + GRACE_MS - LATE_MS && !isOver(waiter, now);
}

/** Says whether a call has lost its place. A clock that was set back since would keep it too long: it has another when it asks again. */
function isOver({ expiresAt }: { readonly expiresAt: number }, now: number): boolean {
  return expiresAt <= now || expiresAt > now + ASK_AGAIN_MS + GRACE_MS + LATE_MS;
}

async function keepWaiter(
  tx: Db,
  credential: string,
  waiter: Waiter & { readonly runId: string; readonly expiresAt: number },
): Promise<void> {
  const { requests, tokens } = waiter.cost;
  const expires_at = new Date(waiter.expiresAt);
  await tx
    .insertInto('rate_waiters')
    .values({
      credential,
      tenant: waiter.tenant,
      id: waiter.id,
      run_id: waiter.runId,
      requests,
      tokens,
      since: new Date(waiter.since),
      expires_at,
    })
    .onConflict((conflict) =>
      conflict.columns(['credential', 'tenant', 'id']).doUpdateSet({ requests, tokens, expires_at }),
    )
    .execute();
}

async function deleteWaiter(db: Db, tenant: string, credential: string, id: string): Promise<void> {
  await db
    .deleteFrom('rate_waiters')
    .where('credential', '=', credential)
    .where('tenant', '=', tenant)
    .where('id', '=', id)
    .execute();
}

async function deleteOver(tx: Db, credential: string, now: number): Promise<void> {
  await tx
    .deleteFrom('rate_waiters')
    .where('credential', '=', credential)
    .where((eb) =>
      eb.or([
        eb('expires_at', '<=', new Date(now)),
        eb('expires_at', '>', new Date(now + ASK_AGAIN_MS + GRACE_MS + LATE_MS)),
      ]),
    )
    .execute();
}

function newest(models: RateState['models'], model: string): RateState['models'] {
  const names = Object.keys(models).filter((name) => name !== model);
  const kept = [...names.slice(Math.max(0, names.length - MODELS_MAX + 1)), model];
  return Object.fromEntries(kept.flatMap((name) => (models[name] === undefined ? [] : [[name, models[name]]])));
}
