import type { MessagePart } from '../../domain/model/message-part.ts';
import type { ResolvedModel } from './invoke-model.ts';

/** Models of our own, which leave nothing that only they can read. */
const OWN_PROVIDERS: readonly string[] = ['rehearsal', 'scripted'];

/** Names the provider in the parts of a reply that only it can read: its reasoning, and whatever has metadata of its own. */
export function signed(part: MessagePart, { provider }: Pick<ResolvedModel, 'provider'>): MessagePart {
  if (OWN_PROVIDERS.includes(provider)) return part;
  const isOwn = part.kind === 'reasoning' || ('metadata' in part && part.metadata !== undefined);
  return isOwn ? { ...part, writtenBy: provider } : part;
}
