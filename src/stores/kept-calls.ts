import { sql } from 'kysely';
import { isReply } from '../domain/memory/chain.ts';
import { wordsOfSummary } from '../domain/memory/summary.ts';
import { withoutData } from '../domain/model/attachment.ts';
import type { MessagePart } from '../domain/model/message-part.ts';
import type { Usage } from '../domain/model/usage.ts';
import type { Db } from './database.ts';
import type { Stores } from './stores.ts';

/** An attempt that called a model, as rows and transcript have it. */
export type KeptCall = {
  readonly turn: number;
  readonly kind: 'model' | 'compact';
  /** `provider:model`. */
  readonly name: string;
  readonly release: string;
  /** Null where its process ended before it could say. */
  readonly outcome: string | null;
  readonly cause: string | null;
  readonly message: string | null;
  /** The model as its provider named it. */
  readonly model: string | null;
  readonly usage: Usage | null;
  /** What became of the money: `released` was not charged, `held` nobody knows. */
  readonly charge: 'settled' | 'held' | 'released' | 'reserved';
  /** What was asked, and what was replied in the end. Null where no reply was kept. What a summariser was asked is not kept. */
  readonly kept: { readonly asked: readonly MessagePart[] | null; readonly reply: readonly MessagePart[] } | null;
};

type Row = Omit<KeptCall, 'usage' | 'kept'> & {
  readonly summary_ref: string | null;
  readonly input_tokens: string | null;
  readonly output_tokens: string | null;
  readonly cache_read_tokens: string | null;
  readonly cache_write_tokens: string | null;
  readonly reasoning_tokens: string | null;
};

/** Reads the calls of models that a run made, in the order in which they began. Empty where there is no such run. */
export async function readKeptCalls(
  { db, transcripts }: Pick<Stores, 'db' | 'transcripts'>,
  tenant: string,
  runId: string,
): Promise<readonly KeptCall[]> {
  const run = await db
    .selectFrom('runs')
    .select(['scope', 'created_at'])
    .where('tenant', '=', tenant)
    .where('id', '=', runId)
    .executeTakeFirst();
  if (run === undefined) return [];
  const rows = await selectCalls(db, tenant, runId, run.created_at);
  const replies = await db
    .selectFrom('model_replies')
    .select(['turn', 'head'])
    .where('tenant', '=', tenant)
    .where('run_id', '=', runId)
    .execute();
  const kept = new Map<number, KeptCall['kept']>();
  for (const { turn, head } of replies) {
    const nodes = await transcripts.readNodes(tenant, run.scope, head);
    const last = nodes.at(-1);
    if (last === undefined || !isReply(last)) continue;
    const asked = nodes.slice(0, -1).flatMap(({ segments }) => segments.map(({ part }) => withoutData(part)));
    kept.set(turn, { asked, reply: last.segments.map(({ part }) => part) });
  }
  return Promise.all(
    rows.map(async ({ summary_ref: ref, ...row }): Promise<KeptCall> => {
      const usage = usageOf(row);
      if (row.kind === 'model') return { ...row, usage, kept: kept.get(row.turn) ?? null };
      const part = ref === null ? null : await transcripts.readPart(tenant, run.scope, ref);
      if (part?.kind !== 'summary') return { ...row, usage, kept: null };
      return { ...row, usage, kept: { asked: null, reply: [{ kind: 'assistant-text', text: wordsOfSummary(part) }] } };
    }),
  );
}

/** Attempts without a reservation called nobody. The run's age bounds the partitions that are read; a minute covers clocks that differ. */
async function selectCalls(db: Db, tenant: string, runId: string, createdAt: Date): Promise<readonly Row[]> {
  const { rows } = await sql<Row>`
    select o.turn, o.kind, o.name, o.release, o.outcome, o.cause, o.message, o.model, b.state as charge, s.ref as summary_ref,
           o.input_tokens, o.output_tokens, o.cache_read_tokens, o.cache_write_tokens, o.reasoning_tokens
      from perdure.observations o
      join perdure.budget_reservations b on b.tenant = o.tenant and b.id = o.reservation
      left join perdure.summaries s on s.tenant = b.tenant and s.run_id = b.run_id and s.key = b.summary_key
     where o.tenant = ${tenant} and o.run_id = ${runId} and o.kind in ('model', 'compact') and not o.is_cache_hit
       and o.opened_at >= ${createdAt}::timestamptz - interval '1 minute'
     order by o.opened_at, o.id`.execute(db);
  return rows;
}

function usageOf(row: Omit<Row, 'summary_ref'>): Usage | null {
  if (row.input_tokens === null) return null;
  return {
    inputTokens: Number(row.input_tokens),
    outputTokens: Number(row.output_tokens),
    cacheReadTokens: Number(row.cache_read_tokens),
    cacheWriteTokens: Number(row.cache_write_tokens),
    reasoningTokens: Number(row.reasoning_tokens),
  };
}
