import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunStart } from '../../../src/domain/run/start.ts';
import { createRunReader } from '../../../src/stores/run-reader.ts';
import { type ProviderServer, startProviderServer } from '../provider-server.ts';
import { startTestServers } from '../servers.ts';
import {
  CONTEXT_TOKENS,
  isSummaryRequest,
  promptTokens,
  REPLY_TOKENS,
  textOf,
  withSmallContext,
  wordsOf,
} from '../small-context.ts';
import { type CountingProxy, startCountingProxy } from './counting-proxy.ts';
import { activitiesOf, readExecutions } from './history.ts';
import { type Platform, type RunHandle, startPlatform } from './platform.ts';
import { signal, stateOf, update } from './talk.ts';
import { testAgent } from './test-agent.ts';
import { until } from './until.ts';

const FACT_TURN = 5;

/** Tokens of all notes together: several times the context, however many turns there are. */
const NOTE_TOKENS = 130_000;
const BYTES_PER_TOKEN = 4;

const SECRET = '7319-KESTREL';
const FACT = `Before I forget it: the vault in Lisbon opens with ${SECRET}.`;
const QUESTION = 'With which code does the vault in Lisbon open?';

const COLOURS = ['teal', 'amber', 'crimson', 'ivory', 'olive', 'violet', 'slate'];
const CITIES = ['Oslo', 'Quito', 'Hanoi', 'Lagos', 'Turin', 'Perth', 'Osaka', 'Cork'];

/** One of many other facts: they share most of their words with each other, and some with the one that is asked for. */
function noteOf(turn: number, turns: number): string {
  const [colour, city] = [COLOURS[turn % COLOURS.length], CITIES[turn % CITIES.length]];
  const note = `Note ${turn}: crate ${turn * 37} in ${city} is ${colour} and opens with the code ${turn * 7919}-${colour?.toUpperCase()}. `;
  return note
    .padEnd(
      (NOTE_TOKENS * BYTES_PER_TOKEN) / turns,
      'Nothing else is to be said about it, and nobody has asked so far. ',
    )
    .trim();
}

function wordsOfTurn(turn: number, turns: number): string {
  if (turn === FACT_TURN) return FACT;
  return turn === turns ? QUESTION : noteOf(turn, turns);
}

/** Answers from what the prompt says, and from nothing else. */
function answerFrom(words: string): string {
  if (!words.includes(QUESTION)) return 'Noted.';
  return words.includes(SECRET) ? `It opens with ${SECRET}.` : 'I do not know that.';
}

/** Reads between two summaries differ by where the summaries fall; over many turns that evens out. */
const READ_TOLERANCE = 0.2;

/**
 * Describes a conversation that is many times longer than its model's context: a fact at turn 5, a different one at every other turn, and at the last
 * turn the question for the first. The summariser forgets everything.
 */
export function describeLongConversation(turns: number): void {
  describe(`a conversation of ${turns} turns in a context of ${CONTEXT_TOKENS} tokens`, () => {
    let provider: ProviderServer;
    let platform: Platform;
    let proxy: CountingProxy;
    /** Bytes that the workers had read from PostgreSQL when a turn was asked. */
    const readAt: number[] = [];
    let run: RunHandle;
    let answer: string;

    before(async function () {
      this.timeout(900_000);
      provider = await startProviderServer();
      proxy = await startCountingProxy((await startTestServers()).postgres.url);
      platform = await startPlatform({
        agents: [talker()],
        databaseUrl: proxy.url,
        env: { PERDURE_MODEL_BASE_URL: provider.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' },
      });
      const startedAt = performance.now();
      run = await talk(platform, provider, turns, (turn) => {
        readAt[turn] = proxy.bytesRead();
      });
      answer = (await stateOf(run)).answer?.preview ?? '';
      const seconds = (performance.now() - startedAt) / 1_000;
      await update(run, 'requestStop', { reason: 'that was all' });
      await run.result();
      const longest = Math.max(...requests().map(promptTokens));
      console.log(
        `      ${turns} turns in ${seconds.toFixed(1)} s, ${summaries().length} summaries, longest prompt ${longest} tokens`,
      );
    });
    after(async () => {
      await platform.close();
      await provider.close();
      proxy.close();
    });

    const requests = () => provider.ledger.map(({ body }) => body);
    const summaries = () => requests().filter(isSummaryRequest);
    const asked = () => requests().filter((request) => !isSummaryRequest(request));

    it(`answers at turn ${turns} what was said at turn ${FACT_TURN}`, () => {
      const last = asked().at(-1) ?? assert.fail('nothing was asked');
      assert.ok(wordsOf(last).includes(FACT), 'the bytes of the fact reach the last prompt');
      assert.ok(textOf(last.messages.at(-1)?.content).endsWith(QUESTION), 'the question comes last');
      assert.equal(answer, `It opens with ${SECRET}.`);
    });

    it('summarises several times, and never with the question in sight', () => {
      assert.ok(summaries().length >= 3, `${summaries().length} summaries`);
      assert.ok(summaries().every((request) => !wordsOf(request).includes(QUESTION)));
    });

    it('asks once a turn, and is never refused for its length', async () => {
      assert.equal(asked().length, turns);
      assert.ok(provider.ledger.every(({ behaviour }) => behaviour === 'reply'));
      await assertLedgerAddsUp(platform, provider, run, 0);
    });

    it('reads no more in a late turn than in an early one', () => {
      const [early, late] = [meanRead(readAt, turns * 0.2, turns * 0.5), meanRead(readAt, turns * 0.6, turns * 0.9)];
      console.log(`      read from PostgreSQL per turn: ${early} bytes, later ${late}`);
      assert.ok(late <= early * (1 + READ_TOLERANCE), `${early} bytes read a turn, then ${late}`);
    });

    it('keeps everything that was said, in its order', async () => {
      const whole = await createRunReader(platform.stores).wholeTranscript(platform.tenant, run.workflowId);
      const said = whole.flatMap((part) => (part.kind === 'user-text' ? [part.text] : []));
      assert.deepEqual(
        said,
        Array.from({ length: turns }, (_, index) => wordsOfTurn(index + 1, turns)),
      );
    });

    it('shows a compaction as what it is', async () => {
      const timeline = await createRunReader(platform.stores).timeline(platform.tenant, run.workflowId);
      const compactions = timeline.filter(({ kind }) => kind === 'compact');
      assert.equal(compactions.length, summaries().length);
      for (const { outcome, message } of compactions) {
        assert.equal(outcome, 'summarised');
        assert.match(message ?? '', /^turns 1 to \d+$/);
      }
      const executions = await readExecutions(platform, run);
      const activities = executions.flatMap((events) => activitiesOf(events).filter(({ type }) => type === 'compact'));
      assert.ok(activities.length > 0);
      for (const { summary } of activities) assert.match(summary, /^compact turns 1 to \d+$/);
    });
  });
}

function talker() {
  return testAgent('talker', {
    models: {
      standard: { id: 'openai-compatible:small', outputTokensMax: REPLY_TOKENS, contextTokensMax: CONTEXT_TOKENS },
    },
    requirements: { latencyP95Ms: 3_600_000, costPerRunUsd: 10_000 },
    limits: { turns: 2_000, tokens: 1e12 },
  });
}

/** Has the conversation: each message is sent when the model is asked about the one before. */
async function talk(
  platform: Platform,
  provider: ProviderServer,
  turns: number,
  onTurn: (turn: number) => void,
): Promise<RunHandle> {
  let sent = 1;
  let handle: RunHandle | null = null;
  provider.always(
    withSmallContext((request) => {
      if (isSummaryRequest(request)) return { kind: 'reply', text: 'They exchanged notes.' };
      const words = wordsOf(request);
      if (sent < turns && handle !== null && words.endsWith(wordsOfTurn(sent, turns))) {
        onTurn(sent);
        sent += 1;
        void signal(handle, 'provideInput', { id: `m-${sent}`, text: wordsOfTurn(sent, turns) });
      }
      return { kind: 'reply', text: answerFrom(words) };
    }),
  );
  handle = await startSlowly(platform, 'talker', wordsOfTurn(1, turns), { kind: 'conversation' });
  const run = handle;
  const options = { timeoutMs: 880_000, everyMs: 1_000 };
  await until(`turn ${turns}`, async () => (await stateOf(run)).turn === turns, options);
  return run;
}

/** What the provider charged since then is what the run has spent, to the token. */
export async function assertLedgerAddsUp(
  platform: Platform,
  provider: ProviderServer,
  handle: RunHandle,
  from: number,
): Promise<void> {
  const charged = provider.ledger
    .slice(from)
    .reduce(
      (sum, entry) =>
        sum + (entry.charged === null ? 0 : entry.charged.prompt_tokens + entry.charged.completion_tokens),
      0,
    );
  const account = await platform.db
    .selectFrom('budget_accounts')
    .selectAll()
    .where('kind', '=', 'run')
    .where('id', '=', handle.workflowId)
    .executeTakeFirstOrThrow();
  assert.deepEqual(
    [Number(account.spent_tokens), account.held_tokens, BigInt(account.spent_pico)],
    [charged, '0', BigInt(charged) * 1_000_000n],
  );
}

function meanRead(at: readonly number[], from: number, to: number): number {
  const [first, last] = [Math.round(from), Math.round(to)];
  return Math.round(((at[last] ?? Number.NaN) - (at[first] ?? Number.NaN)) / (last - first));
}

/** Starts a run whose first turn comes only when its handle is known. */
async function startSlowly(
  platform: Platform,
  agent: string,
  input: string,
  options: Partial<RunStart>,
): Promise<RunHandle> {
  await platform.stopWorkers();
  const handle = await platform.start(agent, input, options);
  await platform.startWorkers();
  await sleep(0);
  return handle;
}
