/**
 * Goal: a tool that contradicts itself is refused where it is written, and one that does not takes and gives JSON.
 * Method: a table of definitions with what is said of them; then tools that are parsed and called with JSON.
 */
import assert from 'node:assert/strict';
import { z } from 'zod';
import type { Parsed } from '../../../src/authoring/define-tool.ts';
import { defineTool, type Tool, type ToolContext } from '../../../src/authoring/index.ts';
import type { JsonValue } from '../../../src/domain/json.ts';

const CONTEXT: ToolContext = {
  signal: new AbortController().signal,
  idempotencyKey: 'key-1',
  attempt: 1,
  tenant: 'acme',
  agentRunId: 'run-1',
  secret: () => '',
};

/** The settings of a definition that the tables vary; the schemas and functions stay. */
type Settings = {
  readonly name?: string;
  readonly version?: string;
  readonly effect?: 'read' | 'idempotent-write' | 'write' | 'irreversible';
  readonly timeoutMs?: number;
  readonly execution?: 'queued' | 'local';
  readonly taskQueue?: string;
  readonly idempotencyKey?: { readonly destination: boolean };
  readonly reconcile?: () => Promise<{ readonly kind: 'never' }>;
};

function define(settings: Settings): Tool {
  return defineTool({
    name: 'addNote',
    version: '1.0.0',
    description: 'Adds a note.',
    owner: 'support',
    effect: 'write',
    input: z.object({ text: z.string() }),
    output: z.object({ id: z.string() }),
    run: () => Promise.resolve({ id: 'n-1' }),
    ...settings,
  });
}

const never = () => Promise.resolve({ kind: 'never' } as const);
const NAME = 'name must be camelCase or snake_case, 1 to 48 letters, digits and underscores';
const WRITES = 'idempotencyKey and reconcile are for writes; a read has no effect to keep once';
const LOCAL = "execution 'local' is for reads; a write needs an activity of its own";

const REFUSED: readonly (readonly [Settings, string])[] = [
  [{ name: '' }, NAME],
  [{ name: 'AddNote' }, NAME],
  [{ name: 'add-note' }, NAME],
  [{ name: '_note' }, NAME],
  [{ name: '1note' }, NAME],
  [{ name: 'a'.repeat(49) }, NAME],
  [{ name: 'addNote\n' }, NAME],
  [{ version: '1' }, 'version must be like 1.0.0, got "1"'],
  [{ version: 'v1.0.0' }, 'version must be like 1.0.0, got "v1.0.0"'],
  [{ version: '1.0.0-beta' }, 'version must be like 1.0.0, got "1.0.0-beta"'],
  [{ taskQueue: 'Slow Queue' }, 'taskQueue must be kebab-case'],
  [{ taskQueue: 'q'.repeat(33) }, 'taskQueue must be kebab-case'],
  [{ execution: 'local', effect: 'write' }, LOCAL],
  [{ execution: 'local', effect: 'idempotent-write' }, LOCAL],
  [{ execution: 'local', effect: 'read', timeoutMs: 1_001 }, 'a local tool may take 1000 ms'],
  [{ effect: 'read', idempotencyKey: { destination: true } }, WRITES],
  [{ effect: 'read', reconcile: never }, WRITES],
];

describe('defineTool', () => {
  for (const [settings, problem] of REFUSED) {
    it(`refuses ${JSON.stringify(settings)}`, () => {
      const name = JSON.stringify(settings.name ?? 'addNote');
      assert.throws(() => define(settings), new TypeError(`defineTool(${name}): ${problem}`));
    });
  }

  it('fills in what is left out of a write', () => {
    const { contract, timeoutMs, attemptsMax, execution, taskQueue, whenUnavailable, destinationHoldsKeys, secrets } =
      define({});
    assert.deepEqual(
      { timeoutMs, attemptsMax, execution, taskQueue, whenUnavailable, destinationHoldsKeys, secrets },
      {
        timeoutMs: 10_000,
        attemptsMax: 3,
        execution: 'queued',
        taskQueue: null,
        whenUnavailable: 'block',
        destinationHoldsKeys: false,
        secrets: [],
      },
    );
    assert.deepEqual(contract.inputSchema['required'], ['text']);
  });

  it('tells the model when a read cannot be reached, and gives a local one a second', () => {
    const { whenUnavailable, timeoutMs } = define({ effect: 'read', execution: 'local' });
    assert.deepEqual({ whenUnavailable, timeoutMs }, { whenUnavailable: 'observe', timeoutMs: 1_000 });
  });

  it('has no business key and no reconcile unless they are given', () => {
    assert.deepEqual([define({}).businessKey, define({}).reconcile], [null, null]);
    assert.notEqual(define({ reconcile: never }).reconcile, null);
  });
});

function defer(timeoutMs: number, seen: string[] = [], note?: string): Tool {
  return defineTool({
    name: 'requestQuote',
    version: '1.0.0',
    description: 'Asks a supplier.',
    owner: 'support',
    effect: 'write',
    input: z.object({ sku: z.string() }),
    output: z.object({ priceUsd: z.coerce.number() }),
    deferred: { timeoutMs },
    run: async ({ sku }, { token }) => {
      seen.push(`${sku} ${token}`);
      return note;
    },
    reconcile: async (_key, _input, { token }) => ({ kind: 'done', result: token }),
  });
}

describe('defineTool with deferred', () => {
  it('refuses a time that is none', () => {
    for (const timeoutMs of [0, 1.5, -1, Number.NaN, 31_622_400_001]) {
      assert.throws(
        () => defer(timeoutMs),
        new TypeError(
          `defineTool("requestQuote"): deferred.timeoutMs must be a whole number from 1 to 31622400000, got ${timeoutMs}`,
        ),
      );
    }
  });

  it('begins with a token, and gives its note', async () => {
    const seen: string[] = [];
    const context = { ...CONTEXT, token: 'token-1' };
    assert.equal(await defer(1_000, seen, 'job 7').run({ sku: 'S-1' }, context), 'job 7');
    assert.equal(await defer(1_000, seen).run({ sku: 'S-2' }, context), null);
    assert.deepEqual(seen, ['S-1 token-1', 'S-2 token-1']);
    assert.deepEqual(await defer(1_000).reconcile?.('key', { sku: 'S-1' }, context), {
      kind: 'done',
      result: 'token-1',
    });
    await assert.rejects(defer(1_000).run({ sku: 'S-1' }, CONTEXT), /a deferred tool needs a token/);
  });

  it('parses the result when it comes, and is another contract than a tool that gives it at once', () => {
    const { deferred, contract } = defer(1_000);
    assert.deepEqual(deferred?.parseOutput({ priceUsd: '7' }), { kind: 'ok', output: { priceUsd: 7 } });
    assert.equal(deferred?.parseOutput({ priceUsd: 'much' }).kind, 'invalid');
    assert.deepEqual([contract.deferred, deferred?.timeoutMs], [true, 1_000]);
    assert.ok(!('deferred' in define({}).contract));
    assert.equal(define({}).deferred, null);
  });
});

function visiting(text: z.ZodType): Tool {
  return defineTool({
    name: 'visit',
    version: '1.0.0',
    description: 'Visits a page.',
    owner: 'support',
    effect: 'read',
    input: z.object({ text }),
    output: z.void(),
    run: () => Promise.resolve(),
  });
}

function problemOf(parsed: Parsed): string {
  assert.ok(parsed.kind === 'invalid', parsed.kind);
  return parsed.message;
}

const order = defineTool({
  name: 'orderItem',
  version: '2.1.0',
  description: 'Orders an item.',
  owner: 'support',
  effect: 'write',
  input: z.object({
    sku: z.string().trim().min(1),
    count: z.coerce.number().int().min(1).default(1),
    gift: z.boolean().optional(),
    at: z.coerce.date().optional(),
  }),
  output: z.object({ id: z.string(), count: z.number(), at: z.date().optional(), note: z.string().default('none') }),
  idempotencyKey: { destination: true, businessKey: ({ sku, count }) => `${sku}/${count}` },
  reconcile: (key, { count }) => Promise.resolve({ kind: 'done', result: { id: key, count, note: 'found' } }),
  run: ({ sku, count, at }) => Promise.resolve({ id: `o-${sku}`, count, ...(at === undefined ? {} : { at }) }),
});

const PARSED: readonly (readonly [string, JsonValue, JsonValue])[] = [
  ['fills in defaults', { sku: 'S-1' }, { sku: 'S-1', count: 1 }],
  ['coerces', { sku: 'S-1', count: '3' }, { sku: 'S-1', count: 3 }],
  ['trims', { sku: ' S-1 ' }, { sku: 'S-1', count: 1 }],
  ['drops what the schema does not know', { sku: 'S-1', color: 'red' }, { sku: 'S-1', count: 1 }],
  [
    'writes dates as JSON does',
    { sku: 'S-1', at: '2026-01-02' },
    { sku: 'S-1', count: 1, at: '2026-01-02T00:00:00.000Z' },
  ],
  ['keeps its own result', { sku: 'S-1', count: 3, gift: false }, { sku: 'S-1', count: 3, gift: false }],
];

const UNPARSED: readonly (readonly [string, JsonValue, string])[] = [
  ['what is missing', {}, '✖ Invalid input: expected string, received undefined\n  → at sku'],
  ['what is too small', { sku: 'S-1', count: 0 }, '✖ Too small: expected number to be >=1\n  → at count'],
  ['text that is no JSON', '{"sku": "S-', '✖ Invalid input: expected object, received string'],
  ['nothing', null, '✖ Invalid input: expected object, received null'],
  ['a list', [], '✖ Invalid input: expected object, received array'],
];

describe('a tool', () => {
  for (const [title, input, parsed] of PARSED) {
    it(`${title}: ${JSON.stringify(input)}`, () => {
      const result = order.parseInput(input);
      assert.deepEqual(result, { kind: 'ok', input: parsed });
      assert.deepEqual(order.parseInput(parsed), result, 'parsing twice gives the same');
    });
  }

  for (const [title, input, message] of UNPARSED) {
    it(`says what is wrong with ${title}`, () =>
      assert.deepEqual(order.parseInput(input), { kind: 'invalid', message }));
  }

  it('refuses to parse into what its schema would read differently', () => {
    const measure = defineTool({
      name: 'measure',
      version: '1.0.0',
      description: 'Measures a text.',
      owner: 'support',
      effect: 'read',
      input: z.object({ text: z.string().transform((text) => `${text}!`) }),
      output: z.number(),
      run: ({ text }) => Promise.resolve(text.length),
    });
    assert.match(problemOf(measure.parseInput({ text: 'a' })), /turns parsed input into something else/);
  });

  it('says invalid where the schema itself throws on what a model made up', () => {
    const throwing = visiting(z.string().refine((text) => new URL(text).protocol === 'https:'));
    assert.equal(problemOf(throwing.parseInput({ text: 'no address' })), 'Invalid URL');
    const later = visiting(z.string().refine((text) => Promise.resolve(text !== '')));
    assert.match(problemOf(later.parseInput({ text: 'a' })), /Promise/);
  });

  it('shows the model the schema of what goes in and not of what comes out of parsing', () => {
    const { inputSchema, outputSchema } = order.contract;
    assert.deepEqual(inputSchema['required'], ['sku']);
    assert.deepEqual(outputSchema['required'], ['id', 'count', 'note']);
  });

  it('gives its function parsed input and returns JSON', async () => {
    const output = await order.run({ sku: ' S-1 ', count: '2', at: '2026-01-02' }, CONTEXT);
    assert.deepEqual(output, { id: 'o-S-1', count: 2, at: '2026-01-02T00:00:00.000Z', note: 'none' });
  });

  it('computes its business key from parsed input', () => {
    assert.equal(order.businessKey?.({ sku: ' S-1 ' }), 'S-1/1');
  });

  it('reconciles into JSON', async () => {
    const answer = await order.reconcile?.('key-1', { sku: 'S-1', count: 2 }, CONTEXT);
    assert.deepEqual(answer, { kind: 'done', result: { id: 'key-1', count: 2, note: 'found' } });
  });

  it('does not take another answer of reconcile for one of the three', async () => {
    const tool = define({ reconcile: () => Promise.resolve({ kind: 'pending' } as unknown as { kind: 'never' }) });
    await assert.rejects(
      tool.reconcile?.('key-1', { text: 'a' }, CONTEXT) ?? Promise.resolve(),
      /must answer done, never or cannot-tell/,
    );
  });

  it('fails when its function returns what its schema does not allow', async () => {
    const broken = defineTool({
      name: 'broken',
      version: '1.0.0',
      description: 'Returns the wrong thing.',
      owner: 'support',
      effect: 'read',
      input: z.object({}),
      output: z.object({ id: z.string() }),
      run: () => Promise.resolve(JSON.parse('{"id":5}') as { id: string }),
    });
    await assert.rejects(broken.run({}, CONTEXT), {
      name: 'MisshapenOutput',
      message:
        'the output is not in its documented shape: ✖ Invalid input: expected string, received number\n  → at id',
      output: { id: 5 },
    });
  });

  it('may return nothing', async () => {
    const silent = defineTool({
      name: 'silent',
      version: '1.0.0',
      description: 'Returns nothing.',
      owner: 'support',
      effect: 'read',
      input: z.object({}),
      output: z.void(),
      run: () => Promise.resolve(),
    });
    assert.equal(await silent.run({}, CONTEXT), null);
  });
});
