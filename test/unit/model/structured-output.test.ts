// Goal: an answer is read as JSON however models wrap it, and what does not fit is said by its place, in few words.
// Method: tables of answers, and of schemas.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { checkAnswer } from '../../../src/activities/model/check-answer.ts';
import { describeOutput } from '../../../src/authoring/agent-output.ts';
import { readJsonAnswer, withOutputContract } from '../../../src/domain/model/output-contract.ts';
import { testAgent } from '../../support/workflow/test-agent.ts';

const Value = describeOutput(z.object({ a: z.int().default(1), tags: z.array(z.string()).max(2).optional() }));

describe('an answer of JSON', () => {
  const texts: readonly (readonly [string, string, unknown])[] = [
    ['as it is', '{"a":1}', { a: 1 }],
    ['with room around it', '\n {"a":1} \n', { a: 1 }],
    ['in a fence', '```json\n{"a":1}\n```', { a: 1 }],
    ['in a fence without a language', '```\n[1]\n```', [1]],
    ['in the only fence of a text', 'Here it is:\n```json\n{"a":1}\n```\nBye.', { a: 1 }],
    ['with a fence in a string', '{"a":"```x```"}', { a: '```x```' }],
    ['that is one word', 'null', null],
  ];
  for (const [title, text, value] of texts) {
    it(`is read ${title}`, () => assert.deepEqual(readJsonAnswer(text), { kind: 'ok', value }));
  }
  for (const text of [
    '',
    'The price is 3.',
    '{"a":',
    '```json\n{"a":1}\n```\n```json\n{"a":2}\n```',
    '```json\nnot\n```',
  ]) {
    it(`is not read from ${JSON.stringify(text)}`, () => assert.equal(readJsonAnswer(text).kind, 'invalid'));
  }

  it('is kept as the schema has it, defaults included', () => {
    assert.deepEqual(checkAnswer(Value, Value, ['{}']), { kind: 'fits', text: '{"a":1}' });
  });

  it('says what does not fit by its place', () => {
    const checked = checkAnswer(Value, Value, ['{"a":"secret","tags":["x","y","z"]}']);
    assert.ok(checked.kind === 'misfit');
    assert.match(
      checked.problem,
      /^a: Invalid input: expected int(?:eger)?, received string\. tags: Too big.*\.$|^a: Invalid input: expected number, received string\. tags: Too big.*\.$/,
    );
    assert.ok(!checked.problem.includes('secret'));
  });

  it('names eight places at most', () => {
    const { parse } = describeOutput(z.array(z.number()));
    const checked = parse(Array.from({ length: 30 }, () => 'x'));
    assert.ok(checked.kind === 'invalid' && checked.problem.endsWith('And 22 more.'));
  });

  it('is held to the schema of its release where the agent has another by now', () => {
    const Newer = describeOutput(z.object({ b: z.string() }));
    assert.equal(checkAnswer(Value, Newer, ['{"a":2}']).kind, 'fits');
    assert.equal(checkAnswer(Value, Newer, ['{"a":"2"}']).kind, 'misfit');
    assert.equal(checkAnswer(Value, undefined, ['{"a":2}']).kind, 'fits');
  });

  it('is refused when it is deeper than anything should be', () => {
    const Any = describeOutput(z.json());
    assert.equal(checkAnswer(Any, Any, [`${'['.repeat(200)}${']'.repeat(200)}`]).kind, 'misfit');
  });

  it('is a misfit, and no crash, when the schema itself throws', () => {
    const Broken = describeOutput(
      z.string().refine(() => {
        throw new RangeError('own');
      }),
    );
    assert.deepEqual(checkAnswer(Broken, Broken, ['"x"']), {
      kind: 'misfit',
      problem: 'it could not be checked (RangeError).',
    });
  });

  it('is asked for in the instructions, and nothing is added where none is declared', () => {
    assert.equal(withOutputContract('Be brief.', undefined), 'Be brief.');
    assert.ok(withOutputContract('Be brief.', Value).endsWith(JSON.stringify(Value.schema)));
  });

  it('cannot be declared with what JSON does not have', () => {
    assert.throws(
      () => testAgent('dated', { output: z.object({ at: z.date() }) }),
      /defineAgent\("dated"\): output has no JSON schema .*z\.iso\.datetime\(\)/,
    );
  });

  it('may be declared by a definition that was made from another agent', () => {
    const first = testAgent('first', { output: z.string() });
    assert.deepEqual(testAgent('second', first).output?.schema, first.output?.schema);
  });
});
