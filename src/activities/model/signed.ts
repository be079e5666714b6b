import type { MessagePart } from '../../domain/model/message-part.ts';
import { providerOf } from '../../domain/model/model-policy.ts';
import type { ResolvedModel } from './invoke-model.ts';

/** Names the provider in the parts of a reply that only it can read: its reasoning, and whatever has metadata of its own. */
export function signed(part: MessagePart, { id, simulated }: Pick<ResolvedModel, 'id' | 'simulated'>): MessagePart {
  if (simulated) return part;
  const isOwn = part.kind === 'reasoning' || ('metadata' in part && part.metadata !== undefined);
  return isOwn ? { ...part, writtenBy: providerOf(id) } : part;
}
