/**
 * Goal: an agent that contradicts itself is refused where it is written, before a run is blocked by it.
 * Method: a table of definitions that differ in one thing from a good one, with what is said of them.
 */
import assert from 'node:assert/strict';
import { z } from 'zod';
import { defineAgent, defineTool, type Agent } from '../../../src/authoring/index.ts';

const REQUIREMENTS = { latencyP95Ms: 5_000, costPerRunUsd: 0.05 };

function tool(name: string, version = '1.0.0') {
  return defineTool({
    name,
    version,
    description: 'Looks something up.',
    owner: 'support',
    effect: 'read',
    input: z.object({}),
    output: z.string(),
    run: () => Promise.resolve('found'),
  });
}

const GOOD: Agent = {
  name: 'order-support',
  owner: 'support',
  purpose: 'Answers questions about orders.',
  requirements: REQUIREMENTS,
  instructions: 'Answer.',
  models: { standard: { id: 'scripted:any', outputTokensMax: 100, contextTokensMax: 1_000 } },
  tools: [tool('lookupOrder'), tool('checkStock')],
  guardrails: [{ name: 'card', pattern: '\\d{16}', verdict: 'redact' }],
  approvals: [{ name: 'every-lookup', tool: 'lookupOrder' }],
  reflection: { groundedPatterns: ['[A-Z]-\\d+'], revisionsMax: 1 },
  asksPerson: { deadlineMs: 60_000 },
};

const NAME = 'name must be kebab-case, 1 to 48 characters';
const COST = 'requirements.costPerRunUsd must be above 0';
const LATENCY = 'requirements.latencyP95Ms must be above 0';

const REFUSED: readonly (readonly [string, Partial<Agent>, string])[] = [
  ['no name', { name: '' }, NAME],
  ['a name in camelCase', { name: 'orderSupport' }, NAME],
  ['a name that begins with a digit', { name: '1st' }, NAME],
  ['a name that is too long', { name: 'a'.repeat(49) }, NAME],
  ['no cost', { requirements: { ...REQUIREMENTS, costPerRunUsd: 0 } }, COST],
  ['a cost that is no number', { requirements: { ...REQUIREMENTS, costPerRunUsd: Number.NaN } }, COST],
  ['no latency', { requirements: { ...REQUIREMENTS, latencyP95Ms: -1 } }, LATENCY],
  [
    'two versions of a tool',
    { tools: [tool('lookupOrder'), tool('lookupOrder', '2.0.0')] },
    'tool lookupOrder is listed twice; a release names one version of each tool',
  ],
  [
    'a tool that is called like the built-in one',
    { tools: [tool('lookupOrder'), tool('askPerson')] },
    'the tool askPerson is built in when asksPerson is set; give yours another name',
  ],
  [
    'a rule for a tool that is not there',
    { approvals: [{ name: 'large', tool: 'issueRefund' }] },
    'approval rule large names the tool issueRefund, which the agent does not have',
  ],
  [
    'an exit for a tool that is not there',
    { exit: [{ tool: 'issueRefund' }] },
    'exit names the tool issueRefund, which the agent does not have',
  ],
  [
    'a guardrail that cannot be matched',
    { guardrails: [{ name: 'card', pattern: '(\\d', verdict: 'warn' }] },
    'guardrail card has the pattern "(\\\\d", which is not a regular expression',
  ],
  [
    'a grounded pattern that cannot be matched',
    { reflection: { groundedPatterns: ['[A-'], revisionsMax: 1 } },
    'reflection has the pattern "[A-", which is not a regular expression',
  ],
];

describe('defineAgent', () => {
  it('takes a good definition as it is', () => assert.equal(defineAgent(GOOD), GOOD));

  it('lets a tool be called askPerson where the built-in one is not used', () => {
    const { asksPerson: _, ...rest } = GOOD;
    const agent = { ...rest, tools: [tool('lookupOrder'), tool('askPerson')] };
    assert.equal(defineAgent(agent), agent);
  });

  for (const [title, change, problem] of REFUSED) {
    it(`refuses ${title}`, () => {
      const spec = { ...GOOD, ...change };
      assert.throws(() => defineAgent(spec), new TypeError(`defineAgent(${JSON.stringify(spec.name)}): ${problem}`));
    });
  }
});
