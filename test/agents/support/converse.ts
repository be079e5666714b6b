import type { RehearsalView } from '../../../src/authoring/index.ts';
import { agent } from '../../../agents/support/agent.ts';
import { applyGuardrails } from '../../../src/domain/policy/guardrail.ts';
import { judgeCall } from '../../../src/domain/policy/approval-policy.ts';
import { contextOf } from './shop-database.ts';

type Part = RehearsalView['parts'][number];
type Json = Extract<Part, { kind: 'tool-result' }>['output'];

export type Conversation = {
  readonly parts: readonly Part[];
  readonly calls: readonly { readonly tool: string; readonly input: Json }[];
  /** Names of the approval rules that were met. */
  readonly approvals: readonly string[];
  readonly guardrail: string;
  readonly answer: string;
};

/** Twenty, as the agent's own limit: a rehearsal that needs more does not end. */
const TURNS_MAX = 20;

/** Lets the rehearsal and the real tools talk to each other, with a person's replies and decision given beforehand. */
export async function converse(
  url: string,
  input: string,
  person: { readonly replies?: readonly string[]; readonly decision?: string } = {},
): Promise<Conversation> {
  const guarded = applyGuardrails(agent.guardrails ?? [], input);
  const parts: Part[] = [{ kind: 'user-text', text: guarded.text }];
  const replies = [...(person.replies ?? [])];
  const calls: Conversation['calls'][number][] = [];
  const approvals: string[] = [];
  const result = (answer: string): Conversation => ({ parts, calls, approvals, guardrail: guarded.verdict, answer });
  if (guarded.verdict === 'block') return result('');

  const perform = async (name: string, given: Json): Promise<{ isError: boolean; output: Json }> => {
    if (name === 'askPerson') {
      const reply = replies.shift();
      return reply === undefined ? { isError: true, output: 'expired' } : { isError: false, output: { answer: reply } };
    }
    const tool = agent.tools.find((candidate) => candidate.contract.name === name);
    if (tool === undefined) throw new Error(`the rehearsal called ${name}, which the agent does not have`);
    const parsed = tool.parseInput(given);
    if (parsed.kind === 'invalid') throw new Error(`${name}: ${parsed.message}`);
    calls.push({ tool: name, input: parsed.input });
    const verdict = judgeCall(agent.approvals ?? [], { tool: name, effect: tool.contract.effect, input: parsed.input });
    if (verdict.kind === 'approve') {
      approvals.push(verdict.rule);
      if (person.decision !== 'approved')
        return { isError: true, output: { kind: 'rejected', reason: 'not this one' } };
    }
    try {
      return { isError: false, output: await tool.run(parsed.input, contextOf(url)) };
    } catch (error) {
      return { isError: true, output: (error as Error).message };
    }
  };

  const tools = [...agent.tools.map((tool) => tool.contract.name), 'askPerson'];
  for (let turn = 0; turn < TURNS_MAX; turn += 1) {
    const reply = agent.rehearsal?.({ parts, tools }) ?? {};
    if (reply.toolCalls === undefined) return result(reply.text ?? '');
    const batch = reply.toolCalls.map((made, index) => ({ ...made, toolCallId: `call-${turn}-${index}` }));
    for (const { toolCallId, tool, input: given } of batch) {
      parts.push({ kind: 'tool-call', toolCallId, toolName: tool, input: given });
    }
    const outcomes = await Promise.all(batch.map((made) => perform(made.tool, made.input)));
    outcomes.forEach((outcome, index) => {
      const { toolCallId, tool } = batch[index] as (typeof batch)[number];
      parts.push({ kind: 'tool-result', toolCallId, toolName: tool, ...outcome });
    });
  }
  throw new Error(`the rehearsal did not end in ${TURNS_MAX} turns: ${JSON.stringify(parts.slice(-4))}`);
}
