// Goal: recorded traffic of OpenAI-shaped providers is read whole, and never as a short answer.
// Method: the recordings are replayed over HTTP: whole, in pieces of seven bytes, and cut after each of several events.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve as absolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { classify } from '../../../src/activities/failures.ts';
import { invokeModel, type ModelReply } from '../../../src/activities/model/invoke-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';

type Expected = {
  readonly events: number;
  readonly text: string;
  readonly tool_calls: readonly { readonly name: string; readonly arguments: unknown }[];
  readonly usage: {
    readonly input: number;
    readonly output: number;
    readonly cache_read?: number;
    readonly reasoning?: number;
  };
  readonly stop: string;
};

const folder = absolute(process.env['PERDURE_CASES'] ?? '../shared/cases', 'llm-fixtures');
const isThere = existsSync(folder);
const expected = isThere
  ? (JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Record<string, Expected>)
  : {};

/** Providers whose recordings are chat completions. */
const OPENAI_SHAPED = /^(?:openai-chat|openai-compatible|groq|mistral|deepseek)\//;
const fixtures = Object.entries(expected).filter(([name]) => OPENAI_SHAPED.test(name));

(isThere ? describe : describe.skip)('recorded traffic', () => {
  let server: Server;

  before(async () => {
    const replay = (await import(pathToFileURL(join(folder, 'replay.mjs')).href)) as { readonly server: Server };
    server = replay.server;
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const play = async (fixture: string): Promise<ModelReply> => {
    const env = { PERDURE_MODEL_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/${fixture}` };
    const model = await createModels({ env, rehearsals: new Map() }).resolve({
      id: 'openai-compatible:recorded',
      outputTokensMax: 100,
      contextTokensMax: 1000,
    });
    const request = {
      instructions: 'x',
      parts: [{ kind: 'user-text' as const, text: 'Hello.' }],
      tools: [],
      outputTokensMax: 1000,
    };
    return invokeModel(model, request, new AbortController().signal);
  };

  it('is there', () => {
    assert.ok(fixtures.length >= 4, `${fixtures.length} recordings`);
  });

  for (const [name, fixture] of fixtures) {
    if (fixture.stop === 'length') {
      it(`refuses ${name}, which was cut at its limit`, async () => {
        const error: unknown = await play(name).catch((thrown: unknown) => thrown);
        assert.match(classify(error).message, /outputTokensMax/);
      });
      continue;
    }
    for (const options of ['', ';split=7']) {
      it(`reads ${name}${options}`, async () => {
        check(await play(`${name}${options}`), fixture);
      });
    }
    it(`never takes a part of ${name} for the whole`, async () => {
      const cuts = new Set([
        0,
        1,
        2,
        Math.floor(fixture.events / 2),
        fixture.events - 3,
        fixture.events - 2,
        fixture.events - 1,
      ]);
      for (const cut of cuts) {
        if (cut <= 0 || cut >= fixture.events) continue;
        const outcome = await play(`${name};cut=${cut}`).catch((thrown: unknown) => thrown);
        if (outcome instanceof Error)
          assert.equal(classify(outcome).cause, 'model-error', `${cut}: ${outcome.message}`);
        // Nothing but usage may be missing, and then it says so.
        else check(outcome as ModelReply, fixture);
      }
    });
  }
});

function check(reply: ModelReply, { text, tool_calls: calls, usage }: Expected): void {
  assert.equal(reply.parts.flatMap((part) => (part.kind === 'assistant-text' ? [part.text] : [])).join(''), text);
  assert.deepEqual(
    reply.parts.flatMap((part) => (part.kind === 'tool-call' ? [{ name: part.toolName, arguments: part.input }] : [])),
    calls,
  );
  assert.equal(reply.stopReason, calls.length > 0 ? 'tool-calls' : 'stop');
  if (reply.usageEstimated) return;
  const reasoning = usage.reasoning ?? 0;
  // xAI counts reasoning beside the output; we count it inside.
  const output = reasoning > usage.output ? usage.output + reasoning : usage.output;
  const { inputTokens, outputTokens, cacheReadTokens, reasoningTokens } = reply.usage;
  assert.deepEqual(
    [inputTokens, outputTokens, cacheReadTokens, reasoningTokens],
    [usage.input, output, usage.cache_read ?? 0, reasoning],
  );
}
