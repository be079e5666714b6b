// Goal: recorded traffic of every provider is read whole, and never as a short answer.
// Method: the recordings go over HTTP to each provider's own package: whole, in pieces of seven bytes, broken off, and ended properly in the middle.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { classify } from '../../../src/activities/failures.ts';
import { invokeModel, type ModelReply } from '../../../src/activities/model/invoke-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import {
  type Playing,
  type Recorded,
  recordedBodies,
  recordedReplies,
  RECORDINGS,
  type RecordedStreams,
  startRecordedStreams,
} from '../../support/recorded-streams.ts';

/** The models that read the recordings of a folder. */
const READERS: Readonly<Record<string, readonly string[]>> = {
  anthropic: ['anthropic'],
  deepseek: ['deepseek', 'openai-compatible'],
  google: ['google'],
  groq: ['groq', 'openai-compatible'],
  mistral: ['mistral'],
  'open-responses': ['openai-responses', 'xai'],
  'openai-chat': ['openai', 'azure', 'vllm'],
  'openai-compatible': ['openai-compatible', 'lmstudio'],
  'openai-responses': ['openai-responses'],
};

/** Variables of addresses and keys, by provider. */
const ADDRESSES: Readonly<Record<string, string>> = {
  'openai-compatible': 'PERDURE_MODEL_BASE_URL',
  'openai-responses': 'OPENAI_BASE_URL',
};
const KEYS = ['OPENAI', 'ANTHROPIC', 'GOOGLE_GENERATIVE_AI', 'MISTRAL', 'GROQ', 'DEEPSEEK', 'XAI', 'AZURE'];

/** Recordings in which the reader of the list did not see every call: arguments that come in pieces, with paths. */
const CALLS: Readonly<Record<string, readonly (readonly [string, object])[]>> = {
  'google/google-stream-tool-call-arguments': [
    ['getWeather', { location: 'Boston' }],
    ['getWeather', { location: 'San Francisco' }],
  ],
  'google/google-stream-no-args-tool-call': [
    ['read_theme', {}],
    ['read_screen', { id: 'A' }],
    ['read_screen', { id: 'B' }],
    ['read_screen', { id: 'C' }],
  ],
};

/** Recordings that are not one whole reply: several after each other, or events that are no JSON. */
const UNREADABLE = ['anthropic/anthropic-programmatic-tool-calling.1', 'openai-responses/parallel-tool-call-wrapper.1'];

/** What is wrong with the bodies that are no replies. */
const CAUSES: Readonly<Record<string, string>> = {
  'anthropic/anthropic-refusal-no-details': 'guardrail-block final',
  'google/google-429-retry-info': 'model-rate-limited transient',
  'groq/groq-transcription-text': 'model-error transient',
  'openai-chat/reasoning-model-legacy-parameter-error': 'validation final',
  'openai-responses/openai-error.1': 'model-quota mendable',
  'openai-responses/reasoning-model-temperature-error': 'validation final',
};

(existsSync(RECORDINGS) ? describe : describe.skip)('recorded traffic', () => {
  let streams: RecordedStreams;

  before(async () => {
    streams = await startRecordedStreams();
  });
  after(async () => streams.close());

  it('is there', () => {
    assert.ok(recordedReplies().length >= 4, `${recordedReplies().length} recordings`);
    assert.deepEqual(
      recordedReplies().filter(([name]) => readersOf(name).length === 0),
      [],
    );
  });

  for (const [name, recorded] of recordedReplies()) {
    for (const provider of readersOf(name)) {
      for (const mode of ['whole', 'split'] as const) {
        it(`reads ${name} as ${provider}, ${mode}`, async () => {
          const outcome = await play(provider, streams.urlOf(name, { mode }));
          if (!isRefused(name, recorded)) check(name, outcome, recorded);
          else assert.equal(dispositionOf(outcome), refusalOf(name, recorded));
        });
      }
      it(`never takes a part of ${name} for the whole, as ${provider}`, async () => {
        await Promise.all(
          partsOf(recorded.events).map(async (playing) => {
            const outcome = await play(provider, streams.urlOf(name, playing));
            // Nothing but usage may be missing, and then it says so.
            if (!(outcome instanceof Error)) check(name, outcome, recorded);
            else if (playing.events === Math.floor(recorded.events / 2))
              assert.equal(dispositionOf(outcome), 'transient');
            else assert.ok(['transient', refusalOf(name, recorded)].includes(dispositionOf(outcome)), outcome.stack);
          }),
        );
      });
    }
  }

  for (const name of recordedBodies()) {
    for (const provider of readersOf(name)) {
      const cause = CAUSES[name];
      it(`reads the body ${name} as ${provider} where a stream was asked`, async () => {
        const outcome = await play(provider, streams.urlOfBody(name, 200));
        if (cause !== undefined) assert.equal(causeOf(outcome), cause);
        else if (outcome instanceof Error) assert.fail(`${classify(outcome).message} ${outcome.stack}`);
        else assert.notEqual(outcome.parts.length, 0);
      });
      it(`never takes the first half of the body ${name} for the whole, as ${provider}`, async () => {
        assert.equal(causeOf(await play(provider, streams.urlOfBody(name, 200, 'half'))), 'model-error transient');
      });
      if (cause === undefined || !/error|429/.test(name)) continue;
      it(`knows the refusal ${name} as ${provider}`, async () => {
        assert.equal(causeOf(await play(provider, streams.urlOfBody(name, 400))), cause);
      });
    }
  }
});

async function play(provider: string, url: string): Promise<ModelReply | Error> {
  const address = ADDRESSES[provider] ?? `${provider.toUpperCase()}_BASE_URL`;
  const env = { [address]: url, ...Object.fromEntries(KEYS.map((name) => [`${name}_API_KEY`, 'a-key'])) };
  const choice = { id: `${provider}:recorded`, outputTokensMax: 100, contextTokensMax: 1000 };
  const model = await createModels({ env, rehearsals: new Map() }).resolve(choice);
  const parts = [{ kind: 'user-text' as const, text: 'Hello.' }];
  const request = { instructions: 'x', parts, tools: [], outputTokensMax: 1000 };
  return invokeModel(model, request, new AbortController().signal).catch((error: Error) => error);
}

function readersOf(name: string): readonly string[] {
  return READERS[name.split('/')[0] ?? ''] ?? [];
}

/** Where a stream is ended: after its first events, in the middle, and before each of its last. */
function partsOf(events: number): readonly Playing[] {
  const ends = [1, 2, Math.floor(events / 2), events - 3, events - 2, events - 1];
  return [...new Set(ends)]
    .filter((end) => end > 0 && end < events)
    .flatMap((end) => (['reset', 'clean', 'done'] as const).map((mode): Playing => ({ mode, events: end })));
}

function isRefused(name: string, { stop, error }: Recorded): boolean {
  return stop === 'length' || error !== null || UNREADABLE.includes(name);
}

function refusalOf(name: string, { stop, error }: Recorded): string {
  if (UNREADABLE.includes(name)) return 'transient';
  if (error !== null) return 'mendable';
  return stop === 'length' ? 'final' : 'transient';
}

function dispositionOf(outcome: ModelReply | Error): string {
  return outcome instanceof Error ? classify(outcome).disposition : 'a reply';
}

function causeOf(outcome: ModelReply | Error): string {
  if (!(outcome instanceof Error)) return 'a reply';
  const { cause, disposition } = classify(outcome);
  return `${cause} ${disposition}`;
}

function check(name: string, reply: ModelReply | Error, { text, tool_calls: recorded, usage }: Recorded): void {
  if (reply instanceof Error) assert.fail(`${classify(reply).message} ${reply.stack}`);
  const calls = CALLS[name] ?? recorded.map((call) => [call.name, call.arguments] as const);
  assert.equal(reply.parts.flatMap((part) => (part.kind === 'assistant-text' ? [part.text] : [])).join(''), text);
  assert.deepEqual(
    reply.parts.flatMap((part) => (part.kind === 'tool-call' ? [[part.toolName, part.input]] : [])),
    calls,
  );
  assert.equal(reply.stopReason, calls.length > 0 ? 'tool-calls' : 'stop');
  if (reply.usageEstimated) return;
  const reasoning = usage.reasoning ?? usage.thoughts ?? 0;
  const written = usage.output ?? (usage.candidates ?? 0) + reasoning;
  // xAI counts reasoning beside the output; we count it inside.
  const output = reasoning > written ? written + reasoning : written;
  const { inputTokens, outputTokens, cacheReadTokens, reasoningTokens } = reply.usage;
  assert.deepEqual(
    [inputTokens, outputTokens, cacheReadTokens, reasoningTokens],
    [usage.input, output, usage.cache_read ?? 0, reasoning],
  );
}
