import { type RawBuilder, sql } from 'kysely';
import type { RateCost, RateDimension, RateLimit, RateLimitRule } from '../domain/quota/rate-limit.ts';
import {
  askRate,
  FRESH_RATE_STATE,
  holdRate,
  type RateGrant,
  type RateState,
  settleRate,
} from '../domain/quota/rate-limiter.ts';
import type { Waiter } from '../domain/quota/fair-queue.ts';
import { calibrate, type CallSize, estimateTokens } from '../domain/quota/token-estimate.ts';
import type { Usage } from '../domain/model/usage.ts';
import type { Db } from './database.ts';
import { type RateRecord, readRates, readWeights, setWeight, type TenantWeight } from './rate-records.ts';

/** A credential as workers of one deployment know it. */
export type RatedCredential = RateLimitRule & {
  readonly credential: string;
  /** When the process that says so was started: the newest deployment's limit is in force. */
  readonly declaredAt: number;
};

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

/** Models of a credential of which it is known what their tokens weigh. */
const MODELS_MAX = 50;

/**
 * Keeps the rates of provider credentials. Whoever asks holds its credential's row for some milliseconds, so that all dimensions and all workers
 * are decided on together, by the clock of the database.
 */
export function createRateLimits(db: Db) {
  const declared = new Set<string>();
  const lines = new Map<string, Promise<unknown>>();
  /** One at a time per credential in this process: those who wait for the row must not hold all its connections. */
  const inLine = async <Result>(credential: string, work: () => Promise<Result>): Promise<Result> => {
    const before = lines.get(credential) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    lines.set(credential, settled);
    return mine;
  };
  const change = async <Result>(
    credential: string,
    tenant: string,
    decide: (tx: Db, row: Locked) => Promise<Changed<Result>>,
  ): Promise<Result> =>
    inLine(credential, async () =>
      db.transaction().execute(async (tx) => {
        const { state, result } = await decide(tx, await lock(tx, credential, tenant));
        if (state !== null) await write(tx, credential, state);
        return result;
      }),
    );
  return {
    /** Asks whether a call may be made now, and puts it into the queue when it may not. */
    ask: async (tenant: string, rated: RatedCredential, asked: RateAsk): Promise<RateAsked> => {
      if (!declared.has(rated.credential)) {
        await declare(db, rated);
        declared.add(rated.credential);
      }
      return change(rated.credential, tenant, (tx, row) => ask(tx, tenant, rated.credential, asked, row));
    },
    /** Corrects a call that was let through to what it used, and learns from it. Not to be repeated: it counts each time. */
    settle: async (tenant: string, credential: string, { grant, size, actual }: RateSettlement): Promise<void> =>
      change(credential, tenant, async (_tx, { limit, state, now, weight }) => {
        const settled = settleRate(state, limit, { ...grant, weight }, actual.cost, now);
        const { usage, model } = actual;
        if (usage === null) return { state: settled, result: undefined };
        const counted = { input: usage.inputTokens, output: usage.outputTokens };
        const models = { ...settled.models, [model]: calibrate(settled.models[model], size, counted) };
        return { state: { ...settled, models: newest(models, model) }, result: undefined };
      }),
    /** Lets nothing through for a while: the provider refused a call for its rate. */
    hold: async (tenant: string, credential: string, forMs: number): Promise<void> =>
      change(credential, tenant, async (_tx, { limit, state, now }) => ({
        state: holdRate(state, limit, forMs, now),
        result: undefined,
      })),
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
    readonly cost: RateCost;
    readonly model: string;
    /** What the provider counted; null where it counted nothing that says something of the next call. */
    readonly usage: Usage | null;
  };
};

type Locked = {
  readonly limit: RateLimit;
  readonly state: RateState;
  readonly now: number;
  readonly weight: number;
  readonly waiters: readonly (Waiter & { readonly expiresAt: number })[];
};

type Changed<Result> = { readonly state: RateState | null; readonly result: Result };

async function ask(
  tx: Db,
  tenant: string,
  credential: string,
  { id, runId, model, ...size }: RateAsk,
  { limit, state, now, weight, waiters }: Locked,
): Promise<Changed<RateAsked>> {
  const { input, output } = estimateTokens(state.models[model], size);
  // A reply is as long as it is allowed to be in the worst case only: it must not make a prompt inadmissible that fits.
  const tokens =
    limit.tokens !== null && input <= limit.tokens ? Math.min(limit.tokens, input + output) : input + output;
  const mine = waiters.find((waiter) => waiter.id === id && waiter.tenant === tenant);
  const asking = { id, tenant, weight, cost: { requests: 1, tokens }, since: mine?.since ?? now };
  const others = waiters.filter((waiter) => waiter !== mine && waiter.expiresAt > now + GRACE_MS - LATE_MS);
  const answer = askRate(state, limit, asking, others, now);
  switch (answer.kind) {
    case 'never':
      if (mine !== undefined) await deleteWaiter(tx, tenant, credential, id);
      return { state: null, result: answer };
    case 'granted':
      if (mine !== undefined) await deleteWaiter(tx, tenant, credential, id);
      return { state: answer.state, result: { kind: 'granted', grant: answer.grant, input } };
    case 'denied': {
      const { dimension, waitMs } = answer;
      const expiresAt = now + waitMs + GRACE_MS;
      await keepWaiter(tx, credential, { ...asking, runId, expiresAt });
      if (waiters.some((waiter) => waiter.expiresAt <= now)) await deleteExpired(tx, credential, now);
      return { state: answer.state, result: { kind: 'denied', dimension, waitMs } };
    }
  }
}

/** The newest deployment's limit counts. What was let through stays: the provider remembers it too. */
async function declare(db: Db, { credential, subject, limit, declaredAt }: RatedCredential): Promise<void> {
  await db
    .insertInto('rate_limits')
    .values({
      credential,
      subject,
      rate_limit: JSON.stringify(limit),
      state: JSON.stringify(FRESH_RATE_STATE),
      declared_at: new Date(declaredAt),
    })
    .onConflict((conflict) =>
      conflict
        .column('credential')
        .doUpdateSet((eb) => ({
          subject: eb.ref('excluded.subject'),
          rate_limit: eb.ref('excluded.rate_limit'),
          declared_at: eb.ref('excluded.declared_at'),
        }))
        .where('rate_limits.declared_at', '<', new Date(declaredAt)),
    )
    .execute();
}

/** Locks a credential, and only then reads the clock: time spent waiting for the lock has passed. */
async function lock(tx: Db, credential: string, tenant: string): Promise<Locked> {
  const row = await tx
    .selectFrom('rate_limits')
    .select(['rate_limit', 'state'])
    .where('credential', '=', credential)
    .forUpdate()
    .executeTakeFirstOrThrow(() => new Error(`no limit was declared for the credential ${credential}`));
  const { rows } = await sql<Pick<Locked, 'now' | 'weight' | 'waiters'>>`
    select ${epochMs(sql`clock_timestamp()`)} as now,
           coalesce((select weight from perdure.tenant_weights where tenant = ${tenant}), 1) as weight,
           coalesce((
             select json_agg(json_build_object(
                      'id', w.id, 'tenant', w.tenant, 'weight', coalesce(t.weight, 1),
                      'cost', json_build_object('requests', w.requests, 'tokens', w.tokens),
                      'since', ${epochMs(sql`w.since`)}, 'expiresAt', ${epochMs(sql`w.expires_at`)}))
               from perdure.rate_waiters w left join perdure.tenant_weights t on t.tenant = w.tenant
              where w.credential = ${credential}), '[]') as waiters`.execute(tx);
  const [found] = rows;
  if (found === undefined) throw new Error('the database gave no time');
  return { limit: row.rate_limit, state: row.state, ...found };
}

function epochMs(moment: RawBuilder<unknown>): RawBuilder<number> {
  return sql`(extract(epoch from ${moment}) * 1000)::double precision`;
}

async function write(tx: Db, credential: string, state: RateState): Promise<void> {
  await tx
    .updateTable('rate_limits')
    .set({ state: JSON.stringify(state), used_at: sql`clock_timestamp()` })
    .where('credential', '=', credential)
    .execute();
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

async function deleteExpired(tx: Db, credential: string, now: number): Promise<void> {
  await tx
    .deleteFrom('rate_waiters')
    .where('credential', '=', credential)
    .where('expires_at', '<=', new Date(now))
    .execute();
}

function newest(models: RateState['models'], model: string): RateState['models'] {
  const names = Object.keys(models).filter((name) => name !== model);
  const kept = [...names.slice(Math.max(0, names.length - MODELS_MAX + 1)), model];
  return Object.fromEntries(kept.flatMap((name) => (models[name] === undefined ? [] : [[name, models[name]]])));
}
