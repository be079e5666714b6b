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
    ['in a fence, with a fence in a string', '```json\n{"a":"```js\\nx\\n```"}\n```', { a: '```js\nx\n```' }],
    ['after a mark of its byte order', '\uFEFF{"a":1}', { a: 1 }],
    ['in a fence of another dialect', '```json5\n{"a":1}\n```', { a: 1 }],
    [
      'with the largest whole number and fractions',
      '[9007199254740991,0.1,1e3,-0.0]',
      [9007199254740991, 0.1, 1e3, -0],
    ],
    ['in other scripts', '{"名":"é\\ud83d\\ude00"}', { 名: 'é😀' }],
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

  it('is a misfit where a number would become another', () => {
    const Any = describeOutput(z.object({ id: z.unknown() }));
    for (const text of ['{"id":12345678901234567890}', '{"id":1e999}', '```json\n{"id":[-9007199254740993]}\n```']) {
      const checked = checkAnswer(Any, Any, [text]);
      assert.ok(checked.kind === 'misfit');
      assert.match(checked.problem, /^(?:id|0): the number has more digits than can be kept/);
      assert.ok(!/\d{9}/.test(checked.problem));
    }
  });

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
    assert.deepEqual(checkAnswer(Value, undefined, ['{}']), { kind: 'fits', text: '{"a":1}' });
    const checked = checkAnswer(Value, undefined, ['{"a":"x","tags":["x","y","z"]}']);
    assert.match(checked.kind === 'misfit' ? checked.problem : '', /^a: .*\. tags: .*\.$/);
  });

  const Node = z.object({
    name: z.string(),
    get children() {
      return z.array(Node);
    },
  });
  const shapes: readonly (readonly [string, z.ZodType, unknown, unknown])[] = [
    ['a format', z.strictObject({ at: z.iso.datetime() }), { at: '2026-01-02T03:04:05Z' }, { at: 'tomorrow' }],
    ['an address', z.strictObject({ mail: z.email() }), { mail: 'a@b.org' }, { mail: 'a b' }],
    ['a schema of itself', Node, { name: 'a', children: [{ name: 'b', children: [] }] }, { name: 'a', children: [{}] }],
    [
      'a choice',
      z.discriminatedUnion('k', [z.object({ k: z.literal('a'), n: z.int() }), z.object({ k: z.literal('b') })]),
      { k: 'a', n: 1 },
      { k: 'a' },
    ],
    ['a record', z.record(z.string(), z.number()), { a: 1 }, { a: 'x' }],
    ['a tuple', z.tuple([z.string(), z.number()]), ['a', 1], ['a', 'b']],
    ['a list of bounds', z.array(z.int().min(1)).min(1).max(2), [1], []],
    ['null', z.object({ a: z.string().nullable() }), { a: null }, { a: 1 }],
    ['a word of a list', z.enum(['x', 'y']), 'x', 'z'],
  ];
  for (const [title, schema, good, bad] of shapes) {
    it(`is held to ${title}, by its own schema and by that of its release alone`, () => {
      const Own = describeOutput(schema);
      for (const own of [Own, undefined]) {
        assert.equal(checkAnswer(Own, own, [JSON.stringify(good)]).kind, 'fits');
        assert.equal(checkAnswer(Own, own, [JSON.stringify(bad)]).kind, 'misfit');
      }
    });
  }

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
