/**
 * Goal: the agent's rehearsal does what every task of its dataset expects, and its answers hold only what was looked up.
 * Method: the rehearsal, the agent's policies and the real tools on a fresh copy of the shop for each task.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { agent } from '../../../agents/support/agent.ts';
import { ungroundedClaims } from '../../../src/domain/policy/reflection.ts';
import { converse, type Conversation } from './converse.ts';
import { createShopDatabase, createShopTemplate, dropShopDatabase } from './shop-database.ts';

type Task = {
  readonly id: string;
  readonly input: string;
  readonly replies?: readonly string[];
  readonly decision?: 'approved' | 'rejected';
  readonly expectedCalls: Conversation['calls'];
  readonly expectations: {
    readonly answerIncludes: readonly string[];
    readonly answerExcludes: readonly string[];
    readonly approval?: string;
    readonly guardrail?: string;
  };
};

const tasks = readFileSync(new URL('../../../agents/support/dataset.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Task);

describe('dataset of the support agent', () => {
  let template: string;
  let url: string;

  before(async () => {
    template = await createShopTemplate();
  });

  beforeEach(async () => {
    url = await createShopDatabase({ copyOf: template });
  });

  afterEach(() => dropShopDatabase(url));

  after(() => dropShopDatabase(template));

  it('has at least twenty tasks with ids of their own', () => {
    assert.ok(tasks.length >= 20);
    assert.equal(new Set(tasks.map((task) => task.id)).size, tasks.length);
  });

  for (const task of tasks) {
    it(task.id, async () => {
      const talk = await converse(url, task.input, task);
      const { expectations } = task;
      assert.deepEqual(
        talk.calls.map((call) => call.tool),
        task.expectedCalls.map((call) => call.tool),
        talk.answer,
      );
      task.expectedCalls.forEach((call, index) => assert.partialDeepStrictEqual(talk.calls[index]?.input, call.input));
      for (const text of expectations.answerIncludes) assert.ok(talk.answer.includes(text), talk.answer);
      for (const text of expectations.answerExcludes) assert.ok(!talk.answer.includes(text), talk.answer);
      assert.equal(talk.approvals[0], expectations.approval);
      assert.equal(talk.guardrail, expectations.guardrail ?? 'pass');
      const sources = talk.parts.map((part) => JSON.stringify(part));
      assert.deepEqual(ungroundedClaims(agent.reflection?.groundedPatterns ?? [], talk.answer, sources), []);
    });
  }

  it('does for the sample input what the first task says', () => {
    assert.equal(agent.sampleInput, tasks[0]?.input);
  });
});
