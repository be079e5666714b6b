// Goal: what goes over the wire of any provider, binary streams and refusals included, can be recorded and is played to the same end, without a network.
// Method: each provider's own package is called twice: recorded against a server of ours, then played with no key, no address and no `fetch`.
import assert from 'node:assert/strict';
import { classify } from '../../../src/activities/failures.ts';
import { invokeModel, type ModelReply } from '../../../src/activities/model/invoke-model.ts';
import { createModels, type Models } from '../../../src/activities/model/providers.ts';
import { writeFrames } from '../../../src/activities/recorded/event-frames.ts';
import { MASK_KINDS } from '../../../src/activities/recorded/masker.ts';
import { recorded } from '../../../src/activities/recorded/player.ts';
import { recordingModels } from '../../../src/activities/recorded/recorded-models.ts';
import type { RecordingLine } from '../../../src/activities/recorded/recording.ts';
import { type DoubleServer, startDouble, WIRE_DOUBLES } from '../../support/wire-doubles.ts';

const RUN = 'recordedRecordedRecord';
const LIVE = 'liveLiveLiveLiveLiveLi';
const EMAIL = 'liam@example.com';
const KEY = '0123456789abcdef0123456789abcdef';
const input = `I am ${EMAIL}.`;

const BEDROCK = 'bedrock:us.amazon.nova-micro-v1:0';

const ask = async (models: Models, id: string, run: string): Promise<ModelReply | Error> => {
  const resolved = await models.resolve({ id, outputTokensMax: 100, contextTokensMax: 1_000 });
  const contract = { version: '1.0.0', description: 'x', inputSchema: { type: 'object' }, outputSchema: {} };
  const request = {
    instructions: 'Be brief.',
    parts: [{ kind: 'user-text' as const, text: input }],
    tools: [{ ...contract, name: 'look', effect: 'read' as const }],
    outputTokensMax: 100,
    requestId: `${run}-1-1-1-abcdef01`,
  };
  return invokeModel(resolved, request, AbortSignal.timeout(5_000)).catch((error: Error) => error);
};

const record = async (id: string, env: Readonly<Record<string, string>>) => {
  const lines: RecordingLine[] = [{ kind: 'recording', version: 1, run: RUN, masks: {} }];
  const problems: string[] = [];
  const sink = {
    kinds: MASK_KINDS,
    append: async (_: string, line: RecordingLine) => void lines.push(line),
    report: (problem: string) => void problems.push(problem),
  };
  const said = await ask(recordingModels(createModels, { env, rehearsals: new Map() }, sink), id, RUN);
  assert.deepEqual(problems, []);
  return { said, text: lines.map((line) => JSON.stringify(line)).join('\n') };
};

const play = async (text: string): Promise<ModelReply | Error> => {
  const model = recorded(text);
  const fetch = globalThis.fetch;
  globalThis.fetch = async () => assert.fail('a played recording went out');
  try {
    const models = createModels({ env: {}, rehearsals: new Map(), recordings: () => model });
    return await ask(models, 'recorded:incident', LIVE);
  } finally {
    globalThis.fetch = fetch;
    model.assertUsed();
  }
};

/** What the server sends, as it goes out. */
type Sent = {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: object;
  readonly body: string | Buffer;
};

describe('recordings of wires', () => {
  let server: DoubleServer;

  before(async () => {
    server = await startDouble();
  });
  after(async () => server.close());

  for (const [provider, wire] of Object.entries(WIRE_DOUBLES)) {
    it(`are played as they were on that of ${provider}, and hold no key`, async () => {
      server.answer(() => wire.reply([{ id: 'c', name: 'look', arguments: { to: EMAIL, more: ['é', { n: 1 }] } }]));
      const env = wire.env(server.origin);
      const secret = Object.fromEntries(
        Object.entries(env).map(([name, value]) => [name, value === 'k' ? KEY : value]),
      );
      const { said, text } = await record(wire.model, secret);
      assert.ok('parts' in said && said.parts.length === 1);
      assert.deepEqual(lessIds(await play(text)), lessIds(said));
      for (const hidden of [EMAIL, KEY]) assert.equal(text.includes(hidden), false, text);
    });
  }

  describe('of binary events', () => {
    const env = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE1', AWS_SECRET_ACCESS_KEY: 'secretsecret1', AWS_SESSION_TOKEN: KEY };
    const bedrock = () => ({ ...env, AWS_REGION: 'eu-west-1', BEDROCK_BASE_URL: server.origin });
    const words = (text: string) =>
      (text.match(/[^]{1,3}/gu) ?? []).map((piece) =>
        frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: piece } }),
      );
    const whole = [
      frame('messageStart', { role: 'assistant' }),
      ...words(`Dear ${EMAIL}, é.`),
      frame('contentBlockStop', { contentBlockIndex: 0 }),
      frame('contentBlockStart', { contentBlockIndex: 1, start: { toolUse: { toolUseId: 't1', name: 'look' } } }),
      ...[`{"to":"${EMAIL.slice(0, 6)}`, `${EMAIL.slice(6)}"}`].map((piece) =>
        frame('contentBlockDelta', { contentBlockIndex: 1, delta: { toolUse: { input: piece } } }),
      ),
      frame('contentBlockStop', { contentBlockIndex: 1 }),
      frame('messageStop', { stopReason: 'tool_use' }),
      frame('metadata', { usage: { inputTokens: 9, outputTokens: 4, totalTokens: 13 } }),
    ];
    const hasNone = (text: string): void => {
      for (const hidden of [EMAIL, KEY, 'AKIDEXAMPLE1', 'secretsecret1']) {
        assert.equal(text.includes(hidden), false, hidden);
        for (const shift of [0, 1, 2]) {
          const [, inner = ''] =
            /^..(.*?)..?=*$/.exec(Buffer.from(`${'x'.repeat(shift)}${hidden}`).toString('base64')) ?? [];
          assert.equal(text.includes(inner), false, `${hidden} in base64`);
        }
      }
    };

    it('are played to the same reply, and can be read', async () => {
      server.answer(() => Buffer.concat(whole));
      const { said, text } = await record(BEDROCK, bedrock());
      assert.ok('parts' in said);
      assert.deepEqual(
        said.parts.map((part) => ('text' in part ? part.text : 'input' in part ? part.input : part.kind)),
        [`Dear ${EMAIL}, é.`, { to: EMAIL }],
      );
      assert.match(text, /"encoding":"frames"/);
      assert.match(text, /\[email-1\]/);
      hasNone(text);
      assert.deepEqual(await play(text), said);
    });

    it('are played to the same failure where they were cut', async () => {
      const bytes = Buffer.concat(whole);
      for (const cut of [whole[0]?.length ?? 0, 3, 14, Math.floor(bytes.length / 2), bytes.length - 5]) {
        server.answer(() => bytes.subarray(0, cut));
        const { said, text } = await record(BEDROCK, bedrock());
        const again = await play(text);
        assert.ok(said instanceof Error && again instanceof Error, `cut at ${cut}`);
        assert.deepEqual(lessName(classify(again)), lessName(classify(said)), `cut at ${cut}`);
        hasNone(text);
      }
    });

    it('are played where their bytes are no events', async () => {
      const broken = Buffer.concat(whole);
      broken.writeUInt8((broken.at(40) ?? 0) ^ 0xff, 40);
      server.answer(() => broken);
      const { said, text } = await record(BEDROCK, bedrock());
      const again = await play(text);
      assert.ok(said instanceof Error && again instanceof Error);
      assert.deepEqual(lessName(classify(again)), lessName(classify(said)));
    });
  });

  it('of a refusal are played as one, with what its headers say, and without the key that it repeats', async () => {
    const refusals: readonly Sent[] = [
      {
        status: 400,
        headers: { 'x-amzn-errortype': 'ThrottlingException:http://x/' },
        body: '{"message":"Slow down"}',
      },
      { status: 403, body: `{"message":"The key ${KEY} is not valid for account of ${EMAIL}"}` },
      { status: 500, type: 'text/html', body: `<p>\u{e9}\n${EMAIL}` },
      { status: 502, type: 'text/html', body: Buffer.from([0x3c, 0xff, 0xfe, ...Buffer.from(EMAIL), 0x80]) },
      { status: 529, headers: { 'retry-after': '7' }, body: '' },
    ];
    const fetchOf = ({ status = 200, type = 'application/json', headers = {}, body }: Sent) =>
      (async () =>
        new Response(body as string, { status, headers: { 'content-type': type, ...headers } })) as typeof fetch;
    for (const sent of refusals) {
      const lines: RecordingLine[] = [{ kind: 'recording', version: 1, run: RUN, masks: {} }];
      const sink = {
        kinds: MASK_KINDS,
        append: async (_: string, line: RecordingLine) => void lines.push(line),
        report: assert.fail,
      };
      const env = { AWS_BEARER_TOKEN_BEDROCK: KEY, AWS_REGION: 'eu-west-1' };
      const settings = { env, rehearsals: new Map(), fetch: fetchOf(sent) };
      const said = await ask(recordingModels(createModels, settings, sink), BEDROCK, RUN);
      const text = lines.map((line) => JSON.stringify(line)).join('\n');
      for (const hidden of [KEY, EMAIL, Buffer.from(EMAIL).toString('base64').slice(4, -4)]) {
        assert.equal(text.includes(hidden), false, text);
      }
      assert.deepEqual(lessName(classify(await play(text))), lessName(classify(said)));
    }
  });
});

/** Google's calls have no ids, so its package makes them up. */
function lessIds(reply: ModelReply | Error): unknown {
  if (reply instanceof Error) return reply;
  return { ...reply, parts: reply.parts.map((part) => ({ ...part, toolCallId: 'a call' })) };
}

/** The name of the model is the recording's where it is played, and what stood in a mask is one. */
function lessName({ message, mend, ...failure }: ReturnType<typeof classify>): object {
  const plain = message
    .replaceAll(/(?:bedrock|recorded):[\w.:-]+/g, 'the model')
    .replaceAll(/\[key-1\]|\[redacted\]|0123456789abcdef\w*/g, 'KEY');
  return { ...failure, isMendable: mend !== undefined, message: plain.replaceAll(/\[email-1\]/g, EMAIL) };
}

/** Writes an event of Bedrock; its package checks the sums. */
function frame(type: string, payload: object): Buffer {
  const names = { ':message-type': 'event', ':event-type': type, ':content-type': 'application/json' };
  const head = Object.entries(names).map(([name, value]) => {
    const [length, said] = [String.fromCharCode(name.length), String.fromCharCode(0, value.length)];
    return `${length}${name}\u0007${said}${value}`;
  });
  const heads = [Buffer.from(head.join(''), 'latin1').toString('base64')];
  return Buffer.from(writeFrames({ heads, payloads: [JSON.stringify(payload)], rest: 0 }));
}
