import type { FilePart } from '../domain/model/attachment.ts';
import type { Stores } from './stores.ts';

/** Makes the client library's `AttachmentWriter` over PostgreSQL. */
export function createAttachmentWriter({ db, scopes, transcripts }: Pick<Stores, 'db' | 'scopes' | 'transcripts'>) {
  return {
    async write(
      place: { readonly tenant: string; readonly agentRunIds: readonly string[]; readonly subject: string },
      file: FilePart,
    ): Promise<string> {
      const { tenant, agentRunIds, subject } = place;
      for (const id of agentRunIds) {
        const run = await db
          .selectFrom('runs')
          .select('scope')
          .where('tenant', '=', tenant)
          .where('id', '=', id)
          .executeTakeFirst();
        if (run !== undefined) return transcripts.writePart(tenant, run.scope, file);
      }
      return transcripts.writePart(tenant, await scopes.subjectScope(tenant, subject), file);
    },
  };
}
