// Goal: a change of a tool that would block runs in flight is seen before it ships, and other changes pass.
// Method: contracts of two releases of an agent, compared through a file as users compare them.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type Agent, defineTool, type Tool } from '../../src/authoring/index.ts';
import { checkToolContracts } from '../../src/testing/index.ts';
import { testFolder } from '../support/servers.ts';
import { testAgent } from '../support/workflow/test-agent.ts';

const save = (input: z.ZodType, change: { readonly version?: string; readonly description?: string } = {}): Tool =>
  defineTool({
    name: 'save',
    version: '1.0.0',
    description: 'Saves.',
    owner: 'tests',
    output: z.object({}),
    effect: 'write',
    run: async () => ({}),
    ...change,
    input,
  });

const text = z.object({ text: z.string() });
const agentWith = (...tools: readonly Tool[]): Agent => testAgent('keeper', { tools });

describe('checkToolContracts', () => {
  let file: string;

  beforeEach(async () => {
    file = join(await testFolder(), 'kept', 'contracts.json');
    assert.deepEqual(checkToolContracts([agentWith(save(text))], file), []);
  });

  it('keeps the contracts of the first call, and changes nothing while they stay', () => {
    const before = readFileSync(file, 'utf8');
    const recorded = JSON.parse(before) as { keeper: Record<string, { version: string }[]> };
    assert.deepEqual(Object.keys(recorded.keeper), ['save@1']);
    assert.equal(recorded.keeper['save@1']?.[0]?.version, '1.0.0');
    assert.deepEqual(checkToolContracts([agentWith(save(text))], file), []);
    assert.equal(readFileSync(file, 'utf8'), before);
  });

  for (const [what, agents, problem] of [
    ['another type of an input', [agentWith(save(z.object({ text: z.number() })))], 'its input text has changed'],
    [
      'an input that is now required',
      [agentWith(save(z.object({ text: z.string(), title: z.string() })))],
      'its input title is now required',
    ],
    ['a tool that is gone', [agentWith()], 'it is gone: keep it in previousTools while runs hold it'],
    ['a new major version alone', [agentWith(save(text, { version: '2.0.0' }))], 'it is gone: keep it in previous'],
    ['an agent that is gone', [], 'the agent is gone'],
  ] satisfies [string, Agent[], string][]) {
    it(`sees ${what}, and keeps the file as it is`, () => {
      const before = readFileSync(file, 'utf8');
      const [found, ...others] = checkToolContracts(agents, file);
      assert.deepEqual([found?.agent, found?.tool, others], ['keeper', 'save@1', []]);
      assert.ok(found?.problem.startsWith(problem), found?.problem);
      assert.equal(readFileSync(file, 'utf8'), before);
    });
  }

  it('lets a new major version stand beside the old one', () => {
    const next = save(z.object({ note: z.string() }), { version: '2.0.0' });
    const agent = { ...agentWith(next), previousTools: [save(text)] };
    assert.deepEqual(checkToolContracts([agent], file), []);
    assert.deepEqual(Object.keys((JSON.parse(readFileSync(file, 'utf8')) as { keeper: object }).keeper), [
      'save@1',
      'save@2',
    ]);
  });

  it('remembers what an allowed change brought, so that the next one is held against it', () => {
    const withTitle = save(z.object({ text: z.string(), title: z.string().optional() }), { version: '1.1.0' });
    assert.deepEqual(checkToolContracts([agentWith(withTitle)], file), []);
    const changed = save(z.object({ text: z.string(), title: z.number().optional() }), { version: '1.2.0' });
    assert.deepEqual(checkToolContracts([agentWith(changed)], file), [
      { agent: 'keeper', tool: 'save@1', problem: 'its input title has changed' },
    ]);
  });

  it('refuses a file of something else', () => {
    for (const content of ['{', '{"keeper":[]}x', '{"keeper":{"save@1":"text"}}']) {
      writeFileSync(file, content);
      assert.throws(
        () => checkToolContracts([agentWith(save(text))], file),
        /holds no contracts; restore it, or delete/,
      );
    }
  });
});
