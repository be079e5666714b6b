// Goal: whatever a model calls with, and whatever a schema or a rule makes of it, the call gets a verdict or a text that the model reads.
// Method: a table of calls against a release and the agent that this worker has.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { type JudgedCall, judgeCall } from '../../../src/activities/model/judge-call.ts';
import { isStorable, printable } from '../../../src/activities/model/printable.ts';
import { ASK_PERSON, buildRelease } from '../../../src/activities/release/agent-release.ts';
import { type Agent, defineAgent, defineTool } from '../../../src/authoring/index.ts';
import type { JsonValue } from '../../../src/domain/json.ts';
import type { Release } from '../../../src/domain/release/release.ts';

const LOOK = defineTool({
  name: 'look',
  version: '1.0.0',
  description: 'Looks.',
  input: z.object({ id: z.string() }),
  output: z.json(),
  effect: 'read',
  owner: 'tests',
  run: async () => null,
});

const AGENT = defineAgent({
  name: 'any',
  owner: 'tests',
  purpose: 'Is tested.',
  requirements: { latencyP95Ms: 1, costPerRunUsd: 1 },
  instructions: '',
  models: { standard: { id: 'scripted:any', outputTokensMax: 1, contextTokensMax: 1 } },
  tools: [LOOK],
  asksPerson: { deadlineMs: 5_000 },
});

const RELEASE = buildRelease(AGENT, (id) => id);

type Call = { tool?: string; input?: JsonValue; index?: number; agent?: Agent | undefined; release?: Release };

const judge = (call: Call = {}): JudgedCall => {
  const { tool = 'look', input = { id: 'a' }, index = 0, release = RELEASE } = call;
  const part = { kind: 'tool-call', toolCallId: 't1c0', toolName: tool, input } as const;
  return judgeCall('agent' in call ? call.agent : AGENT, release, part, index);
};

const problemOf = ({ outcome }: JudgedCall): string => (outcome.kind === 'problem' ? outcome.problem : outcome.kind);

describe('judgeCall', () => {
  it('lets a read through with its arguments', () => {
    const { argsHash, ...judged } = judge();
    assert.deepEqual(judged, { tool: 'look', inline: { args: { id: 'a' } }, outcome: { kind: 'allow' } });
    assert.equal(argsHash.length, 22);
  });

  it('answers what the schema refuses and what no release has', () => {
    assert.match(problemOf(judge({ input: { id: 7 } })), /^The arguments of look are not valid/);
    assert.match(problemOf(judge({ tool: 'fly' })), /^There is no tool fly\. The tools are: look, askPerson/);
    const { tool, outcome } = judge({ tool: `\u0000\ud83d${'x'.repeat(5_000)}` });
    assert.ok(tool.length === 64 && tool.startsWith(' \ufffdx'), tool);
    assert.ok(outcome.kind === 'problem' && outcome.problem.length < 200);
  });

  it('answers when the schema or a rule throws', () => {
    const broken = {
      ...LOOK,
      parseInput: (): never => {
        throw new RangeError('schema of look fails');
      },
    };
    const judged = judge({ agent: { ...AGENT, tools: [broken] } });
    assert.equal(problemOf(judged), 'The call of look could not be checked, so it was not made: schema of look fails');
    const rule = { name: 'r', tool: 'look', when: null } as unknown as Release['approvals'][number];
    assert.match(problemOf(judge({ release: { ...RELEASE, approvals: [rule] } })), /could not be checked/);
  });

  it('asks a person when the release says so, whatever the agent of this worker says', () => {
    const { asksPerson: _asks, ...silent } = AGENT;
    const ask = { tool: ASK_PERSON.name, input: { question: 'Which?' } };
    assert.deepEqual(judge(ask).outcome, { kind: 'ask', deadlineMs: 5_000 });
    assert.deepEqual(judge({ ...ask, agent: silent }).outcome, { kind: 'ask', deadlineMs: 86_400_000 });
    assert.deepEqual(judge({ ...ask, agent: undefined }).outcome, { kind: 'ask', deadlineMs: 86_400_000 });
    const release = { ...RELEASE, tools: [LOOK.contract] };
    assert.match(problemOf(judge({ ...ask, release })), /^There is no tool askPerson/);
  });

  it('makes 32 calls and sends no arguments of the others through history', () => {
    assert.equal(judge({ index: 31 }).outcome.kind, 'allow');
    const late = judge({ index: 32 });
    assert.match(problemOf(late), /^Only 32 calls/);
    assert.equal(late.inline, null);
  });

  it('sends arguments by reference that are large, or that PostgreSQL cannot take apart', () => {
    for (const id of ['x'.repeat(1_100), 'a\u0000b', 'a\ud83db']) {
      const judged = judge({ input: { id } });
      assert.deepEqual([judged.inline, judged.outcome.kind], [null, 'allow']);
    }
  });
});

describe('printable', () => {
  it('makes well-formed text without control characters', () => {
    assert.equal(printable('a\u0000b\tc\nd\ud83d', 200), 'a b\tc\nd\ufffd');
    const cut = printable(`${'x'.repeat(198)}\u{1f600}\u{1f600}`, 200);
    assert.ok(cut.isWellFormed() && cut.length <= 200);
  });

  it('knows what a database refuses inside JSON', () => {
    for (const fine of ['x', '\\u0000', '\\\\ud83d', '\u{1f600}', '\u001f', { a: ['é'] }])
      assert.equal(isStorable(fine), true);
    for (const odd of ['\u0000', '\ud83d', '\\\u0000', { '\udc00': 1 }, [['a\u0000']]])
      assert.equal(isStorable(odd), false);
  });
});
