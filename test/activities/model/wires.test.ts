// Goal: over every provider's protocol, tools keep their names, parallel calls their results and each call its own name, whatever the provider takes.
// Method: published cases with names that providers refuse, played through each provider's own package against a server of ours.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve as absolute } from 'node:path';
import { crc32 } from 'node:zlib';
import { classify } from '../../../src/activities/failures.ts';
import { invokeModel, type ModelReply, type ModelRequest } from '../../../src/activities/model/invoke-model.ts';
import { ModelUnavailable } from '../../../src/activities/model/model-errors.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { PROVIDER_NAMES } from '../../../src/activities/model/provider-table.ts';
import { spellForWire } from '../../../src/activities/model/wire-names.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import type { MessagePart } from '../../../src/domain/model/message-part.ts';
import type { ToolContract } from '../../../src/domain/tool/contract.ts';
import {
  type DoubleServer,
  callDouble,
  startDouble,
  WIRE_DOUBLES,
  type WireDouble,
} from '../../support/wire-doubles.ts';

type Case = {
  readonly id: string;
  readonly user: string;
  readonly tools: readonly { readonly name: string; readonly description: string; readonly parameters: JsonObject }[];
  readonly calls: readonly { readonly name: string; readonly arguments: JsonObject }[];
};

const file = absolute(process.env['PERDURE_CASES'] ?? '../shared/cases', 'bfcl/parallel_multiple.json');

/** The first cases, which are alike, and those with the most calls. */
function someCases(): readonly Case[] {
  const all = JSON.parse(readFileSync(join(file), 'utf8')) as readonly Case[];
  return [...all.slice(0, 6), ...all.toSorted((a, b) => b.calls.length - a.calls.length).slice(0, 6)];
}

function contractOf({ name, description, parameters }: Case['tools'][number]): ToolContract {
  return { name, version: '1.0.0', description, inputSchema: parameters, outputSchema: {}, effect: 'read' };
}

function toolOf(name: string): ToolContract {
  return contractOf({ name, description: 'x', parameters: { type: 'object', properties: {} } });
}

const SIGNAL = new AbortController().signal;

describe('wires', () => {
  let server: DoubleServer;

  before(async () => {
    server = await startDouble();
  });
  after(async () => server.close());

  const call = async (wire: WireDouble, request: Partial<ModelRequest>): Promise<ModelReply> =>
    callDouble(server, wire, request);

  /** Plays a case: the model calls the tools by the names that it was told, then gets the results in another order. */
  const play = async (wire: WireDouble, given: Case): Promise<void> => {
    const tools = given.tools.map(contractOf);
    const names = tools.map(({ name }) => name);
    server.answer((request) => {
      const told = wire.toolNames(request);
      assert.deepEqual(
        told.filter((name) => !wire.toolName.test(name)),
        [],
      );
      assert.equal(new Set(told).size, tools.length);
      return wire.reply(
        given.calls.map(({ name, arguments: input }, index) => {
          return { id: `call:${index}.x`, name: told[names.indexOf(name)] ?? '', arguments: input };
        }),
      );
    });
    const user: MessagePart = { kind: 'user-text', text: given.user };
    const reply = await call(wire, { parts: [user], tools });
    const calls = reply.parts.flatMap((part) => (part.kind === 'tool-call' ? [part] : []));
    assert.deepEqual(
      calls.map(({ toolName, input }) => ({ name: toolName, arguments: input })),
      given.calls.map(({ name, arguments: input }) => ({ name, arguments: input })),
    );
    const results = calls.map(({ toolCallId, toolName }, index): MessagePart => ({
      kind: 'tool-result',
      toolCallId,
      toolName,
      isError: false,
      output: `result ${index}`,
    }));
    await call(wire, { parts: [user, ...reply.parts, ...results.toReversed()], tools });
    const { calls: known, results: paired } = wire.heard(server.heard.at(-1)?.body ?? {});
    assert.equal(known.size, given.calls.length);
    const told = wire.toolNames(server.heard.at(-1)?.body ?? {});
    for (const { call: id, result } of paired) {
      const index = [...known.keys()].indexOf(id);
      assert.equal(result, `result ${index}`);
      assert.equal(known.get(id), told[names.indexOf(given.calls[index]?.name ?? '')]);
    }
    assert.equal(paired.length, given.calls.length);
  };

  for (const [provider, wire] of Object.entries(WIRE_DOUBLES)) {
    (existsSync(file) ? it : it.skip)(`plays published cases with parallel calls over ${provider}`, async () => {
      for (const given of someCases()) await play(wire, given);
    });

    it(`names the call to ${provider}, sends the key once, and says which account it draws on`, async () => {
      server.answer(() => wire.reply([{ id: 'c', name: 'look', arguments: {} }]));
      const before = server.heard.length;
      await call(wire, { tools: [toolOf('look')] });
      assert.equal(server.heard.length, before + 1);
      assert.equal(server.heard.at(-1)?.headers['x-client-request-id'], 'run-1-a');
      const env = wire.env(server.origin);
      const resolve = (given: Readonly<Record<string, string>>) =>
        createModels({ env: given, rehearsals: new Map() }).resolve({
          id: wire.model,
          outputTokensMax: 1,
          contextTokensMax: 1,
        });
      const { credential, provider: named } = await resolve(env);
      assert.equal(named, provider);
      assert.match(credential, /^[a-z-]+-[0-9a-f]{12}$/);
      assert.equal((await resolve({ ...env })).credential, credential);
      for (const name of Object.keys(env)) {
        assert.notEqual((await resolve({ ...env, [name]: 'http://other' })).credential, credential);
      }
    });

    it(`stops a call of ${provider} that hangs, with the reason of its signal`, async () => {
      server.answer(() => null);
      const models = createModels({ env: wire.env(server.origin), rehearsals: new Map() });
      const resolved = await models.resolve({ id: wire.model, outputTokensMax: 1, contextTokensMax: 1 });
      const parts = [{ kind: 'user-text' as const, text: 'Hello.' }];
      const ask = async (signal: AbortSignal): Promise<unknown> =>
        invokeModel(resolved, { instructions: 'x', parts, tools: [], outputTokensMax: 1 }, signal).catch(
          (error: unknown) => error,
        );
      const controller = new AbortController();
      const reason = new Error('stopped by a person');
      const stopped = ask(controller.signal);
      setTimeout(() => controller.abort(reason), 30);
      assert.equal(await stopped, reason);
      const failure = classify(await ask(AbortSignal.timeout(30)));
      assert.deepEqual([failure.cause, failure.disposition, failure.sent], ['model-error', 'transient', 'maybe']);
    });

    const keyName = Object.keys(wire.env('x')).find((name) => !name.endsWith('_URL'));
    if (keyName === undefined) continue;
    it(`shows a missing key of ${provider} at the call, and finds it once it is there`, async () => {
      const { [keyName]: key = '', ...env } = wire.env(server.origin) as Record<string, string>;
      const changing: Record<string, string> = env;
      const models = createModels({ env: changing, rehearsals: new Map(), readFile: () => ' from-file\n' });
      const choice = { id: wire.model, outputTokensMax: 1, contextTokensMax: 1 };
      const resolved = await models.resolve(choice);
      const request = { instructions: 'x', parts: [], tools: [], outputTokensMax: 1 };
      const before = server.heard.length;
      const error: unknown = await invokeModel(resolved, request, SIGNAL).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof ModelUnavailable);
      assert.deepEqual([classify(error).disposition, classify(error).sent], ['mendable', 'no']);
      assert.ok(classify(error).mend?.includes(keyName));
      assert.equal(server.heard.length, before);
      server.answer(() => wire.reply([{ id: 'c', name: 'look', arguments: {} }]));
      for (const [name, sent] of [
        [keyName, key],
        [`${keyName}_FILE`, 'from-file'],
      ] as const) {
        changing[name] = key;
        await invokeModel(resolved, request, SIGNAL);
        assert.ok(
          Object.values(server.heard.at(-1)?.headers ?? {}).some((value) => String(value).endsWith(sent)),
          name,
        );
      }
    });
  }

  it('carry encrypted reasoning back to OpenAI, which is asked to keep nothing', async () => {
    const wire = WIRE_DOUBLES['openai-responses'] as WireDouble;
    const thought = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'ENCRYPTED' };
    server.answer(() => {
      const reply = wire.reply([{ id: 'c', name: 'look', arguments: {} }]);
      return { ...reply, output: [thought, ...(reply['output'] as readonly JsonObject[])] };
    });
    const parts: readonly MessagePart[] = [{ kind: 'user-text', text: 'Hello.' }];
    const reasoning = { ...wire, model: 'openai-responses:gpt-5-mini' };
    const reply = await call(reasoning, { parts, tools: [toolOf('look')] });
    await call(reasoning, { parts: [...parts, ...reply.parts], tools: [toolOf('look')] });
    const { store, include, input } = server.heard.at(-1)?.body ?? {};
    assert.deepEqual([store, include], [false, ['reasoning.encrypted_content']]);
    const items = input as readonly JsonObject[];
    assert.equal(items.find(({ type }) => type === 'reasoning')?.['encrypted_content'], 'ENCRYPTED');
    assert.ok(!items.some(({ type }) => type === 'item_reference'));
  });

  it('are those of every provider but servers that speak like another', () => {
    const alike = ['vllm', 'lmstudio', 'openai-compatible'];
    assert.deepEqual(
      Object.keys(WIRE_DOUBLES).toSorted(),
      PROVIDER_NAMES.filter((name) => !alike.includes(name)).toSorted(),
    );
  });

  it('give each tool a name of its own that no other has, the same every time', () => {
    const odd = ['a.b', 'a/b', 'a b', '9lives', '-x', 'ünïcode', 'x'.repeat(65), `${'x'.repeat(64)}y`, 'plain', ''];
    const { tools, toolNamed } = spellForWire('openai-chat', { parts: [], tools: odd.map(toolOf) });
    const spelled = tools.map(({ name }) => name);
    assert.equal(new Set(spelled).size, odd.length);
    for (const [index, name] of spelled.entries()) {
      assert.match(name, /^[A-Za-z_][\w-]{0,63}$/);
      assert.equal(toolNamed(name), odd[index]);
    }
    assert.ok(spelled.includes('plain'));
    // A tool that is called as the spelling of another keeps its name; the other gets one more.
    const [taken = ''] = spelled;
    const both = spellForWire('openai-chat', { parts: [], tools: [toolOf('a.b'), toolOf(taken)] });
    assert.equal(both.tools[1]?.name, taken);
    assert.notEqual(both.tools[0]?.name, taken);
    assert.equal(both.toolNamed(both.tools[0]?.name ?? ''), 'a.b');
    assert.deepEqual(
      spellForWire('google', { parts: [], tools: odd.map(toolOf) }).tools.map(({ name }) => name),
      spelled,
    );
  });

  it('spell the ids of another provider as this one takes them, results as their calls', () => {
    const parts: MessagePart[] = ['functions.look:0', 'call_1', 'A1b2C3d4E'].flatMap((toolCallId) => [
      { kind: 'tool-call', toolCallId, toolName: 'look', input: {} },
      { kind: 'tool-result', toolCallId, toolName: 'look', isError: false, output: 'x' },
    ]);
    for (const [wire, taken] of [
      ['mistral', /^[A-Za-z0-9]{9}$/],
      ['anthropic', /^[\w-]{1,64}$/],
    ] as const) {
      const ids = spellForWire(wire, { parts, tools: [] }).parts.flatMap((part) =>
        'toolCallId' in part ? [part.toolCallId] : [],
      );
      assert.ok(
        ids.every((id) => taken.test(id)),
        String(ids),
      );
      assert.deepEqual(
        ids.filter((_, index) => index % 2 === 0),
        ids.filter((_, index) => index % 2 === 1),
      );
      assert.equal(new Set(ids).size, 3);
    }
  });
});

describe('streams of Bedrock', () => {
  let server: DoubleServer;

  before(async () => {
    server = await startDouble();
  });
  after(async () => server.close());

  const ask = async (...events: readonly Buffer[]): Promise<ModelReply | Error> => {
    server.answer(() => Buffer.concat(events));
    const env = {
      AWS_ACCESS_KEY_ID: 'AKIA1',
      AWS_SECRET_ACCESS_KEY: 's',
      AWS_REGION: 'eu-west-1',
      BEDROCK_BASE_URL: server.origin,
    };
    const resolved = await createModels({ env, rehearsals: new Map() }).resolve({
      id: 'bedrock:us.amazon.nova-micro-v1:0',
      outputTokensMax: 100,
      contextTokensMax: 1000,
    });
    const request = {
      instructions: 'x',
      parts: [{ kind: 'user-text' as const, text: 'Hi.' }],
      tools: [],
      outputTokensMax: 9,
    };
    return invokeModel(resolved, request, SIGNAL).catch((error: Error) => error);
  };
  const start = frame('messageStart', { role: 'assistant' });
  const words = ['Hello', ' there.'].map((text) =>
    frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text } }),
  );
  const stop = [frame('contentBlockStop', { contentBlockIndex: 0 }), frame('messageStop', { stopReason: 'end_turn' })];
  const usage = frame('metadata', {
    usage: { inputTokens: 7, outputTokens: 3, totalTokens: 10 },
    metrics: { latencyMs: 1 },
  });

  it('are read whole, signed with a pair of keys', async () => {
    const reply = await ask(start, ...words, ...stop, usage);
    if (reply instanceof Error) assert.fail(classify(reply).message);
    assert.deepEqual(
      reply.parts.map((part) => ('text' in part ? part.text : '')),
      ['Hello there.'],
    );
    assert.deepEqual([reply.usage.inputTokens, reply.usage.outputTokens], [7, 3]);
    assert.match(
      String(server.heard.at(-1)?.headers['authorization']),
      /^AWS4-HMAC-SHA256 Credential=AKIA1\/\d+\/eu-west-1\//,
    );
  });

  it('that end in the middle are no replies', async () => {
    const all = [start, ...words, ...stop];
    for (let end = 0; end < all.length; end += 1) {
      const outcome = await ask(...all.slice(0, end));
      assert.ok(outcome instanceof Error, `${end} events`);
      assert.equal(classify(outcome).disposition, 'transient');
    }
    const torn = await ask(start, ...words, (stop[1] as Buffer).subarray(0, 30));
    assert.ok(torn instanceof Error && classify(torn).disposition === 'transient');
  });

  it('that break off with an exception are what it says', async () => {
    const rows = [
      ['throttlingException', 'model-rate-limited', 'transient'],
      ['modelStreamErrorException', 'model-error', 'transient'],
      ['validationException', 'validation', 'final'],
    ] as const;
    for (const [type, cause, disposition] of rows) {
      const outcome = await ask(start, ...words, frame(type, { message: 'No.' }, 'exception'));
      assert.ok(outcome instanceof Error);
      const failure = classify(outcome);
      assert.deepEqual([failure.cause, failure.disposition, failure.sent], [cause, disposition, 'maybe']);
    }
  });
});

/** Writes an event as AWS does: lengths, headers, payload, and checksums of both. @see the event stream encoding of Amazon Transcribe */
function frame(type: string, payload: JsonObject, message: 'event' | 'exception' = 'event'): Buffer {
  const names = { ':message-type': message, [`:${message}-type`]: type, ':content-type': 'application/json' };
  const headers = Buffer.concat(
    Object.entries(names).flatMap(([name, value]) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(value.length);
      return [Buffer.from([name.length]), Buffer.from(name), Buffer.from([7]), length, Buffer.from(value)];
    }),
  );
  const body = Buffer.from(JSON.stringify(payload));
  const bytes = Buffer.alloc(16 + headers.length + body.length);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(headers.length, 4);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
  headers.copy(bytes, 12);
  body.copy(bytes, 12 + headers.length);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}
