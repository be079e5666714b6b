import type { MessagePart } from '../../domain/model/message-part.ts';
import type { ModelPolicy } from '../../domain/model/model-policy.ts';
import { applyGuardrails, type GuardrailOutcome, type InputGuardrail } from '../../domain/policy/guardrail.ts';
import type { PerceiveInput } from '../../domain/run/activity-inputs.ts';
import { FIRST_INPUT_ID } from '../../domain/run/open-run.ts';
import type { PerceiveResult } from '../../domain/run/results.ts';
import type { WaitingInput } from '../../domain/run/run.ts';
import type { AuditEntry } from '../../stores/audit.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { agentRunIdOfActivity, runActivity } from '../run-activity.ts';
import { ASK_PERSON } from '../release/agent-release.ts';
import { toolCallId } from '../tool/tool-call-id.ts';
import { attach } from './attached-part.ts';

type TextInput = WaitingInput & { readonly text: string };

/**
 * Takes in what people said: guardrails, then segments. Each message id counts once for the run, however long ago it came. Top-ups raise
 * the account.
 */
export async function perceive(dependencies: ActivityDependencies, input: PerceiveInput): Promise<PerceiveResult> {
  return runActivity(input, async () => {
    const { stores, failpoint } = dependencies;
    const { tenant, turn } = input;
    const runId = agentRunIdOfActivity();
    const facts = await stores.runs.factsOf(tenant, runId);
    const { guardrails, models } = await stores.releases.get(facts.release);
    const refs: string[] = [];
    const ignored: string[] = [];
    let answer: string | undefined;
    for (const waiting of input.inputs) {
      const claim = { runId, id: waiting.id, turn, kind: waiting.kind, principal: waiting.principal };
      if (waiting.kind === 'top-up') {
        if (!(await stores.runMessages.topUp(tenant, claim, waiting.topUp))) ignored.push(waiting.id);
        continue;
      }
      const guarded = guard(guardrails, waiting);
      const isBlocked = guarded.verdict === 'block' && isFirst(waiting);
      const { files, leftOut } = await attachFiles(dependencies, { tenant, scope: facts.scope }, models, waiting);
      const isRefused = isBlocked || (leftOut !== null && isFirst(waiting));
      // Written before it is claimed, so that a claim names what a run that takes up this one will find.
      const ref = isRefused
        ? null
        : await stores.transcripts.writePart(tenant, facts.scope, toPart(waiting, guarded.text));
      const heard = isRefused ? { ref } : { ref, files };
      if (!(await stores.runMessages.claim(tenant, { ...claim, ...heard }, auditOf(runId, waiting, guarded)))) {
        ignored.push(waiting.id);
        continue;
      }
      if (ref === null) {
        const why = isBlocked ? { blockedBy: guarded.matched.join(', ') } : { refused: leftOut ?? '' };
        return { inputs: [], ...why };
      }
      if (waiting.kind === 'answer') answer = ref;
      else refs.push(ref);
      refs.push(...files);
    }
    await failpoint('run:perceived');
    return {
      inputs: refs,
      ...(answer === undefined ? {} : { answer }),
      ...(ignored.length === 0 ? {} : { ignored }),
    };
  });
}

/** Takes what came with a message: the files that the model reads, and notes in the place of others. `leftOut` says why the first one was. */
async function attachFiles(
  { stores: { transcripts } }: ActivityDependencies,
  place: { readonly tenant: string; readonly scope: string },
  models: ModelPolicy,
  input: TextInput,
): Promise<{ readonly files: readonly string[]; readonly leftOut: string | null }> {
  const files: string[] = [];
  let leftOut: string | null = null;
  for (const file of filesOf(input)) {
    const attached = await attach(transcripts, place, models, file);
    if (attached.kind === 'left-out') leftOut ??= attached.problem;
    files.push(
      attached.kind === 'taken' ? file : await transcripts.writePart(place.tenant, place.scope, attached.note),
    );
  }
  return { files, leftOut };
}

function filesOf(input: TextInput): readonly string[] {
  return 'attachments' in input ? (input.attachments ?? []) : [];
}

function isFirst(input: TextInput): boolean {
  return input.id === FIRST_INPUT_ID || (input.kind === 'input' && input.isFirst === true);
}

/** What a later message says in spite of a guardrail is left out; the first one refuses the run. Guidance comes from operators. */
function guard(guardrails: readonly InputGuardrail[], input: TextInput): GuardrailOutcome {
  if (input.kind === 'guidance') return { verdict: 'pass', matched: [], text: input.text };
  const outcome = applyGuardrails(guardrails, input.text);
  if (outcome.verdict !== 'block') return outcome;
  return { ...outcome, text: `[This message was withheld by the guardrail ${outcome.matched.join(', ')}.]` };
}

function auditOf(runId: string, input: TextInput, { verdict, matched }: GuardrailOutcome): AuditEntry | null {
  if (verdict === 'pass') return null;
  return {
    principal: input.principal,
    action: `guardrail.${verdict}`,
    target: runId,
    after: { message: input.id, matched },
  };
}

function toPart(input: TextInput, text: string): MessagePart {
  switch (input.kind) {
    case 'answer': {
      const id = toolCallId(input.turn, input.index);
      return { kind: 'tool-result', toolCallId: id, toolName: ASK_PERSON.name, isError: false, output: text };
    }
    case 'guidance':
      return { kind: 'guidance', text };
    case 'input':
    case 'top-up':
      return { kind: 'user-text', text };
  }
}
