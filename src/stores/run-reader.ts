import { sql } from 'kysely';
import { withoutData } from '../domain/model/attachment.ts';
import type { MessagePart } from '../domain/model/message-part.ts';
import type { ApprovalFilter, DeferredFilter, EffectFilter, RunFilter } from '../domain/schemas/run-records.ts';
import { createAttachmentWriter } from './attachment-writer.ts';
import { readConversation } from './conversation-reader.ts';
import { type Db, openDatabase } from './database.ts';
import { readDeferredCalls } from './deferred-reader.ts';
import { readApprovals, readAudit, readEffects } from './ledger-reader.ts';
import { readReceipt } from './receipt-reader.ts';
import { findTenant, readRun, readRuns } from './run-row-reader.ts';
import { createStores, type Stores } from './stores.ts';
import { createStreamListener, type StreamListener } from './stream-listener.ts';
import { createStreamReader } from './stream-reader.ts';
import { readTimeline } from './timeline-reader.ts';

/**
 * Makes the client library's `RunReader` over PostgreSQL. It only reads, and works long after Temporal has forgotten an execution. Without a
 * listener, what models say is looked for now and then.
 */
export function createRunReader(
  { db, transcripts }: Pick<Stores, 'db' | 'transcripts'>,
  listener: StreamListener | null = null,
) {
  return {
    streams: createStreamReader(db, transcripts, listener),
    findTenant: (runId: string) => findTenant(db, runId),
    run: (tenant: string, runId: string) => readRun(db, tenant, runId),
    runs: (tenant: string | null, filter?: RunFilter) => readRuns(db, tenant, filter),
    timeline: (tenant: string, runId: string) => readTimeline(db, tenant, runId),
    receipt: (tenant: string, runId: string) => readReceipt(db, tenant, runId),
    async answer(tenant: string, runId: string): Promise<string | null> {
      const found = await findTexts(db, tenant, runId);
      if (found === null || found.answer === null) return null;
      const part = await transcripts.readPart(tenant, found.scope, found.answer);
      return part.kind === 'assistant-text' ? part.text : null;
    },
    async transcript(tenant: string, runId: string): Promise<readonly MessagePart[]> {
      const found = await findTexts(db, tenant, runId);
      // Files are described: a list of what was said is no place for their bytes.
      return found === null ? [] : (await transcripts.read(tenant, found.scope, found.head)).map(withoutData);
    },
    async wholeTranscript(tenant: string, runId: string): Promise<readonly MessagePart[]> {
      const found = await findTexts(db, tenant, runId);
      return found === null ? [] : (await transcripts.readWhole(tenant, found.scope, found.head)).map(withoutData);
    },
    conversation: (tenant: string, runIds: readonly string[], messageKey: string | null) =>
      readConversation(db, transcripts, tenant, runIds, messageKey),
    approvals: (tenant: string | null, filter?: ApprovalFilter) => readApprovals(db, transcripts, tenant, filter),
    effects: (tenant: string | null, filter?: EffectFilter) => readEffects(db, tenant, filter),
    deferredCalls: (tenant: string | null, filter?: DeferredFilter) =>
      readDeferredCalls(db, transcripts, tenant, filter),
    audit: (tenant: string, runId: string) => readAudit(db, tenant, runId),
  };
}

/**
 * Opens a database for a client outside of the workers: to read runs, and with `attachments` to keep the files that the client sends. Nothing
 * is connected before the first use.
 */
export function openRunReader(databaseUrl: string) {
  // A connection that breaks while idle is made again by the next read.
  const stores = createStores(openDatabase(databaseUrl, () => undefined));
  const listener = createStreamListener(databaseUrl);
  return {
    ...createRunReader(stores, listener),
    attachments: createAttachmentWriter(stores),
    close: async () => {
      await listener.close();
      await stores.db.destroy();
    },
  };
}

type Texts = { readonly scope: string; readonly head: string | null; readonly answer: string | null };

/** Finds where a run's texts are. The row knows them once the run has ended; until then its newest replies do. */
async function findTexts(db: Db, tenant: string, runId: string): Promise<Texts | null> {
  const { rows } = await sql<Texts>`
    select r.scope,
           coalesce(
             case when r.run_end is not null then r.head end,
             (select m.head from perdure.model_replies m
               where m.tenant = r.tenant and m.run_id = r.id order by m.turn desc limit 1),
             r.head) as head,
           coalesce(
             r.run_end -> 'answer' ->> 'ref',
             (select m.answer from perdure.model_replies m
               where m.tenant = r.tenant and m.run_id = r.id and m.answer is not null
               order by m.turn desc limit 1)) as answer
      from perdure.runs r where r.tenant = ${tenant} and r.id = ${runId}`.execute(db);
  return rows[0] ?? null;
}
