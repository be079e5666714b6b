import type { MessagePart } from '../../domain/model/message-part.ts';
import { ungroundedClaims } from '../../domain/policy/reflection.ts';
import type { ReflectInput } from '../../domain/run/activity-inputs.ts';
import type { ReflectResult } from '../../domain/run/results.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';

/** Checks the newest answer against what the run was told and looked up, as its release asks. */
export async function reflect({ stores }: ActivityDependencies, input: ReflectInput): Promise<ReflectResult> {
  return runActivity(input, async () => {
    const facts = await stores.runs.factsOf(input.tenant, agentRunIdOfActivity());
    const { reflection } = await stores.releases.get(facts.release);
    if (reflection === null) return { unfounded: [] };
    // What a summary replaced still supports an answer.
    const parts = await stores.transcripts.readWhole(input.tenant, facts.scope, input.head);
    return { unfounded: ungroundedClaims(reflection.groundedPatterns, answerOf(parts), parts.flatMap(sourceOf)) };
  });
}

/** The answer is the assistant's text after everything else. */
function answerOf(parts: readonly MessagePart[]): string {
  const start = parts.findLastIndex((part) => part.kind !== 'assistant-text' && part.kind !== 'reasoning') + 1;
  return parts
    .slice(start)
    .flatMap((part) => (part.kind === 'assistant-text' ? [part.text] : []))
    .join('\n');
}

function sourceOf(part: MessagePart): readonly string[] {
  if (part.kind === 'user-text') return [part.text];
  return part.kind === 'tool-result' ? [JSON.stringify(part.output)] : [];
}
