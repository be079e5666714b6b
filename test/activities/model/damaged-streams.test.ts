// Goal: whatever happens to a recorded stream on its way, it is read as it was or fails as what is tried again; no other answer comes of it.
// Method: seeded damage to every recording, through each provider's own package: what a connection does to bytes, a proxy to lines, a bad server to events.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { classify } from '../../../src/activities/failures.ts';
import { invokeModel } from '../../../src/activities/model/invoke-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import { type RecordedEvents, recordedEvents, type StreamForm, streamingFetch } from '../../support/recorded-events.ts';
import { recordedReplies, RECORDINGS } from '../../support/recorded-streams.ts';

/** The model that reads the recordings of a folder. */
const READERS: Readonly<Record<string, string>> = {
  anthropic: 'anthropic',
  deepseek: 'deepseek',
  google: 'google',
  groq: 'groq',
  mistral: 'mistral',
  'open-responses': 'openai-responses',
  'openai-chat': 'azure',
  'openai-compatible': 'openai-compatible',
  'openai-responses': 'openai-responses',
};

const KEYS = ['OPENAI', 'ANTHROPIC', 'GOOGLE_GENERATIVE_AI', 'MISTRAL', 'GROQ', 'DEEPSEEK', 'AZURE'];
const ENV = {
  AZURE_BASE_URL: 'http://nowhere/openai',
  PERDURE_MODEL_BASE_URL: 'http://nowhere/v1',
  ...Object.fromEntries(KEYS.map((name) => [`${name}_API_KEY`, 'k'])),
};

type Subject = { readonly name: string; readonly provider: string; readonly whole: string; readonly seed: number };

/** What each protocol writes for an error in the middle. */
const ERRORS: Readonly<Record<string, string>> = {
  anthropic: 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
  google: 'data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}\n\n',
  'openai-responses': 'data: {"type":"error","code":"server_error","message":"x","param":null}\n\n',
};
const CHAT_ERROR = 'data: {"error":{"message":"x","type":"server_error"}}\n\n';

/** Protocols that repeat at the end what they said, so that no lost event passes. */
const REPEATED = ['openai-responses'];

/** Events without words, by protocol: the ones that a reply is built of. */
const BONES: Readonly<Record<string, RegExp>> = {
  anthropic: /"type": ?"(?:message_\w+|content_block_(?:start|stop)|ping|input_json_delta)"/,
  google: /"finishReason"/,
};
const CHAT_BONES = /"finish_reason": ?"|"choices": ?\[\]/;

/** Reads a stream. An answer is what it says, with its calls; a failure its cause and disposition. */
async function read(provider: string, body: string | Uint8Array, form?: StreamForm): Promise<string> {
  const models = createModels({ env: ENV, fetch: streamingFetch(body, form), rehearsals: new Map() });
  const model = await models.resolve({ id: `${provider}:m`, outputTokensMax: 9, contextTokensMax: 9 });
  const parts = [{ kind: 'user-text' as const, text: 'Hello.' }];
  const request = { instructions: 'x', parts, tools: [], outputTokensMax: 9 };
  return invokeModel(model, request, new AbortController().signal).then(
    (reply) =>
      JSON.stringify(
        reply.parts.flatMap((part): unknown[] => {
          if (part.kind === 'tool-call') return [[part.toolName, part.input]];
          return part.kind === 'assistant-text' ? [part.text] : [];
        }),
      ),
    (error: unknown) => `${classify(error).cause} ${classify(error).disposition}`,
  );
}

/** Numbers from 0 to below 1 that are the same in every run. @see Park and Miller, 1988 */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Some numbers below a limit: the first, the last and a few between. */
function some(limit: number, seed: number): readonly number[] {
  const next = seeded(seed);
  const between = Array.from({ length: 2 }, () => Math.floor(next() * limit));
  return [...new Set([0, 1, ...between, limit - 3, limit - 2, limit - 1])].filter((at) => at >= 0 && at < limit);
}

/** Runs a check on every recording that is a whole reply. */
function each(check: (recording: RecordedEvents & Subject) => Promise<void>): () => Promise<void> {
  return async () => {
    let checked = 0;
    for (const [index, [name]] of recordedReplies().entries()) {
      const provider = READERS[name.split('/')[0] ?? ''] ?? 'openai-compatible';
      const recorded = recordedEvents(name);
      const { events, lastWord } = recorded;
      const whole = await read(provider, [...events, lastWord].join(''));
      if (!whole.startsWith('[')) continue;
      await check({ ...recorded, name, provider, whole, seed: index + 1 });
      checked += 1;
    }
    assert.ok(checked >= 4, `${checked} recordings`);
  };
}

/** A damaged stream says the same, or is tried again. */
function mayBe({ name, whole }: Subject, outcome: string, what: string): void {
  assert.ok([whole, 'model-error transient'].includes(outcome), `${name}, ${what}: ${outcome.slice(0, 300)}`);
}

(existsSync(RECORDINGS) ? describe : describe.skip)('a stream that is', () => {
  it(
    'written in other lines, or comes in odd pieces, is the same',
    each(async ({ events, lastWord, name, provider, whole }) => {
      const text = [...events, lastWord].join('');
      const forms: Readonly<Record<string, string>> = {
        'with carriage returns': text.replaceAll('\n', '\r\n'),
        'with a byte order mark': `\uFEFF${text}`,
        'with comments and blank lines': [...events, lastWord].map((event) => `: keep-alive\n\n\n${event}`).join(''),
        'with names and pauses': `retry: 100\n${text.replaceAll('data: ', 'id: 7\ndata:')}`,
        'without its last word': events.join(''),
        'without a space': text.replaceAll('data: {', 'data:{'),
      };
      for (const [what, body] of Object.entries(forms))
        assert.equal(await read(provider, body), whole, `${name} ${what}`);
      for (const pieceBytes of [3, 1_000]) {
        assert.equal(await read(provider, text, { pieceBytes }), whole, `${name} in pieces of ${pieceBytes}`);
      }
      for (const contentType of ['text/plain; charset=utf-8', 'application/json']) {
        assert.equal(await read(provider, text, { contentType }), whole, `${name} as ${contentType}`);
      }
    }),
  );

  it(
    'cut anywhere is whole or tried again',
    each(async (subject) => {
      const { events, lastWord, provider, seed } = subject;
      const bytes = new TextEncoder().encode(events.join(''));
      const tail = new TextEncoder().encode(events.slice(-2).join('')).length;
      const places = [...some(bytes.length, seed), ...some(tail, seed + 100).map((at) => bytes.length - 1 - at)];
      for (const at of places) {
        for (const end of ['clean', 'reset'] as const) {
          mayBe(subject, await read(provider, bytes.subarray(0, at), { end }), `${at} bytes ${end}`);
        }
      }
      for (const at of some(events.length, seed)) {
        const body = events.slice(0, at).join('');
        mayBe(subject, await read(provider, body), `${at} events`);
        mayBe(subject, await read(provider, body, { end: 'reset' }), `${at} events and a reset`);
        mayBe(subject, await read(provider, `${body}${lastWord}data: [DONE]\n\n`), `${at} events and the last word`);
      }
    }),
  );

  it(
    'broken off by an error is tried again',
    each(async ({ events, lastWord, name, provider, seed }) => {
      const error = ERRORS[provider] ?? CHAT_ERROR;
      for (const at of some(events.length, seed)) {
        for (const rest of [[], events.slice(at), [lastWord]]) {
          const outcome = await read(provider, [...events.slice(0, at), error, ...rest].join(''));
          assert.equal(outcome, 'model-error transient', `${name}, an error after ${at} events`);
        }
      }
    }),
  );

  it(
    'sent twice is tried again',
    each(async (subject) => {
      const { events, lastWord, provider } = subject;
      const text = [...events, lastWord].join('');
      const outcome = await read(provider, `${text}${text}`);
      assert.equal(outcome, 'model-error transient', subject.name);
    }),
  );

  it(
    'short of an event that it is built of, or has one twice or too late, is the same or tried again',
    each(async (subject) => {
      const { events, lastWord, provider, seed } = subject;
      const bones = REPEATED.includes(provider) ? /./ : (BONES[provider] ?? CHAT_BONES);
      for (const at of some(events.length, seed)) {
        const event = events[at] ?? '';
        const next = events[at + 1] ?? '';
        if (!bones.test(event)) continue;
        const [before, after] = [events.slice(0, at), events.slice(at + 1)];
        mayBe(subject, await read(provider, [...before, ...after, lastWord].join('')), `event ${at} is lost`);
        // Google writes words and the end into one event.
        if (provider === 'google') continue;
        mayBe(subject, await read(provider, [...before, event, event, ...after, lastWord].join('')), `${at} twice`);
        if (!bones.test(next)) continue;
        const swapped = [...before, next, event, ...after.slice(1), lastWord].join('');
        mayBe(subject, await read(provider, swapped), `${at} after the next`);
      }
    }),
  );
});
