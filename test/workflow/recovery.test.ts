// Goal: what passes is recovered with one more call, not before the provider asks for it; what does not pass ends or blocks a run at once.
// Method: real runs, all at the same time, against a server that speaks three protocols and fails each run once in its own way.
import assert from 'node:assert/strict';
import type { JsonObject } from '../../src/domain/json.ts';
import { activitiesOf, readHistory } from '../support/workflow/history.ts';
import { type Platform, type RunHandle, startPlatform } from '../support/workflow/platform.ts';
import {
  type Behaviour,
  type ProviderRequest,
  type ProviderServer,
  refusals,
  startProviderServer,
} from '../support/provider-server.ts';
import { stateOf, update } from '../support/workflow/talk.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

/** Models by the protocol that they are called with. */
const MODELS = {
  chat: 'openai:gpt-5-mini',
  responses: 'openai-responses:gpt-5-mini',
  messages: 'anthropic:claude-haiku-4-5',
} as const;
type Wire = keyof typeof MODELS;
const WIRES = Object.keys(MODELS) as Wire[];

const WAIT_MS = 1_000;

/** Long enough for a reply on a busy machine: a call that hangs is given up after it. */
const HANG_MS = 6_000;

/** How the first request of a run fails. */
const PASSING: Readonly<Record<string, Behaviour>> = {
  'retry-after': refusal(429, 'rate_limit_error', 'Slow down.', { 'retry-after': String(WAIT_MS / 1000) }),
  'retry-after-ms': refusal(429, 'rate_limit_error', 'Slow down.', { 'retry-after-ms': String(WAIT_MS) }),
  overloaded: refusal(529, 'overloaded_error', 'Overloaded'),
  broken: refusal(500, 'api_error', 'Internal server error'),
  hang: { kind: 'hang' },
  reset: { kind: 'reset', when: 'before-work' },
};

/** A body that every protocol knows: Anthropic's has the same fields as OpenAI's, and a type of its own. */
function refusal(status: number, type: string, message: string, headers: Record<string, string> = {}): Behaviour {
  return { kind: 'status', status, headers, body: { type: 'error', error: { type, message } } };
}

const INVALID = refusal(400, 'invalid_request_error', 'tools.0.custom.input_schema: not good');
const NO_CREDIT: Readonly<Record<Wire, Behaviour>> = {
  chat: refusals.quotaExhausted,
  responses: refusals.quotaExhausted,
  messages: refusal(400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.'),
};
const NO_KEY: Readonly<Record<Wire, Behaviour>> = {
  chat: refusals.unauthorized,
  responses: refusals.unauthorized,
  messages: refusal(401, 'authentication_error', 'invalid x-api-key'),
};

type Case = { readonly wire: Wire; readonly name: string };
type Request = { readonly at: number; readonly body: ProviderRequest };

describe('recovery', function () {
  this.timeout(120_000);

  let platform: Platform;
  let provider: ProviderServer;
  let hasCredit = false;
  const requests = new Map<string, Request[]>();
  const env: Record<string, string> = {
    OPENAI_API_KEY: 'an-old-key',
    ANTHROPIC_API_KEY: 'an-old-key',
    PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
    PERDURE_MODEL_TIMEOUT_MS: String(HANG_MS),
  };
  const cases = WIRES.flatMap((wire) =>
    [...Object.keys(PASSING), 'invalid', 'no-key', 'no-credit'].map((name): Case => ({ wire, name })),
  );
  const runs = new Map<string, RunHandle>();

  /** The first request fails as the case says; the key and the credit decide for the cases that wait for them. */
  const answer = (body: ProviderRequest, authorization: string | null): Behaviour => {
    const [, tag = ''] = /\[case ([\w-]+ [\w-]+)\]/.exec(JSON.stringify(body)) ?? [];
    const [wire = '', name = ''] = tag.split(' ');
    const seen = requests.get(tag) ?? [];
    requests.set(tag, [...seen, { at: Date.now(), body }]);
    if (name === 'invalid') return INVALID;
    if (name === 'no-key' && authorization !== 'Bearer a-new-key') return NO_KEY[wire as Wire];
    if (name === 'no-credit' && !hasCredit) return NO_CREDIT[wire as Wire];
    const fault = PASSING[name];
    return seen.length === 0 && fault !== undefined ? fault : { kind: 'reply', text: `Good day, ${tag}.` };
  };

  before(async () => {
    provider = await startProviderServer();
    provider.always(answer);
    env['OPENAI_BASE_URL'] = provider.baseUrl;
    env['ANTHROPIC_BASE_URL'] = provider.baseUrl;
    env['PERDURE_MODEL_CEILING_USD_PER_MTOK'] = '1';
    // A model each: the failures of one case must not open the breaker of another.
    const agents = cases.map(({ wire, name }) => {
      const standard = { id: `${MODELS[wire]}-${name}`, outputTokensMax: 100, contextTokensMax: 10_000 };
      return testAgent(`${wire}-${name}`, { models: { standard } });
    });
    platform = await startPlatform({ agents, env });
    await Promise.all(
      cases.map(async ({ wire, name }) => {
        runs.set(`${wire} ${name}`, await platform.start(`${wire}-${name}`, `Hello. [case ${wire} ${name}]`));
      }),
    );
  });
  after(async () => {
    await platform.close();
    await provider.close();
  });

  const runOf = ({ wire, name }: Case): RunHandle => runs.get(`${wire} ${name}`) as RunHandle;
  const requestsOf = ({ wire, name }: Case): readonly Request[] => requests.get(`${wire} ${name}`) ?? [];

  for (const wire of WIRES) {
    for (const name of Object.keys(PASSING)) {
      it(`recovers ${name} over ${wire} with a second call`, async () => {
        const end = await runOf({ wire, name }).result();
        assert.deepEqual([end.outcome.kind, end.answer?.preview], ['completed', `Good day, ${wire} ${name}.`]);
        const [first, second, ...more] = requestsOf({ wire, name });
        assert.ok(first !== undefined && second !== undefined && more.length === 0);
        const waited = second.at - first.at;
        if (name.startsWith('retry-after')) assert.ok(waited >= WAIT_MS, `${waited} ms`);
        // The limit counts from before the request arrives, on a busy machine long before.
        if (name === 'hang') assert.ok(waited >= HANG_MS / 2, `${waited} ms`);
      });
    }

    it(`ends at an invalid request over ${wire} after one call, with what the provider said`, async () => {
      const { outcome } = await runOf({ wire, name: 'invalid' }).result();
      const { cause, message } = outcome as unknown as JsonObject;
      assert.deepEqual([outcome.kind, cause], ['failed', 'validation']);
      assert.match(message as string, /input_schema: not good/);
      assert.equal(requestsOf({ wire, name: 'invalid' }).length, 1);
    });

    for (const [name, cause] of [
      ['no-key', 'model-authentication'],
      ['no-credit', 'model-quota'],
    ] as const) {
      it(`blocks at ${name} over ${wire} after one call`, async () => {
        const handle = runOf({ wire, name });
        const { blocked } = await until('blocked', async () => {
          const state = await stateOf(handle);
          return state.phase === 'blocked' ? state : null;
        });
        assert.equal(blocked?.cause, cause);
        assert.ok((blocked?.mend ?? '').length > 10);
        assert.equal(await callsBeforeBlocked(platform, handle), 1);
      });
    }
  }

  for (const [name, mend] of [
    ['no-key', () => Object.assign(env, { OPENAI_API_KEY: 'a-new-key', ANTHROPIC_API_KEY: 'a-new-key' })],
    ['no-credit', () => (hasCredit = true)],
  ] as const) {
    it(`goes on when ${name} is mended, without a restart`, async () => {
      mend();
      await Promise.all(
        WIRES.map(async (wire) => {
          await update(runOf({ wire, name }), 'retry', {});
          const end = await runOf({ wire, name }).result();
          assert.deepEqual([end.outcome.kind, end.answer?.preview], ['completed', `Good day, ${wire} ${name}.`]);
        }),
      );
    });
  }

  it('names every call to the provider, so that its log can be asked about it', () => {
    const ids = provider.ledger.map(({ clientRequestId }) => clientRequestId);
    assert.equal(new Set(ids).size, provider.ledger.length);
    assert.ok(!ids.includes(null));
  });
});

/** Counts the attempts of the first model call, which ends where the run is blocked. */
async function callsBeforeBlocked(platform: Platform, handle: RunHandle): Promise<number> {
  const history = await readHistory(platform, handle);
  const first = activitiesOf(history).find(({ type }) => type === 'callModel');
  const started = history.find(
    ({ activityTaskStartedEventAttributes: start }) => Number(start?.scheduledEventId ?? 0) === first?.scheduledAt,
  );
  return started?.activityTaskStartedEventAttributes?.attempt ?? 0;
}
