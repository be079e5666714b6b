// Goal: a terminal shows words as they come, every answer stands there once and whole, and nothing that was written is written over.
// Method: tables of what a stream tells and what the terminal has at last, and a run on a real platform that is tailed and talked to.
import assert from 'node:assert/strict';
import { createLiveText } from '../../src/cli/live-text.ts';
import { runCli } from '../../src/cli/run-cli.ts';
import type { StreamProgress } from '../../src/client/index.ts';
import type { Cli } from '../../src/cli/cli.ts';
import { startTestPlatform, type TestPlatform } from '../../src/testing/start-test-platform.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers } from '../support/servers.ts';
import { testAgent } from '../support/workflow/test-agent.ts';

const place = (turn: number) => ({ turn, attempt: 1, sequence: 1 });
const said = (text: string, turn = 1): StreamProgress => ({ kind: 'delta', of: 'text', text, position: place(turn) });
const thought = (text: string): StreamProgress => ({ kind: 'delta', of: 'reasoning', text, position: place(1) });
const ended = (text: string, turn = 1): StreamProgress => ({
  kind: 'end',
  turn,
  text,
  isAnswer: true,
  position: place(turn + 1),
});
const gap: StreamProgress = { kind: 'gap', position: place(1) };
const reset: StreamProgress = { kind: 'reset', position: place(1) };

/** A terminal: both outputs in the order they were written. */
function terminal(env: NodeJS.ProcessEnv = {}): { cli: Cli; screen: () => string; pieces: string[] } {
  const pieces: string[] = [];
  const cli: Cli = {
    env,
    cwd: process.cwd(),
    print: (line) => pieces.push(`${line}\n`),
    write: (text) => pieces.push(text),
    say: (line) => pieces.push(`# ${line}\n`),
    readStdin: async () => Buffer.from(''),
    account: 'tester',
  };
  return { cli, screen: () => pieces.join(''), pieces };
}

describe('live text', () => {
  const cases: readonly { name: string; told: readonly (StreamProgress | string)[]; screen: string }[] = [
    { name: 'words as they come', told: [said('a '), said('b'), ended('a b')], screen: 'a b\n' },
    { name: 'what is missing at the end', told: [said('a '), ended('a b c')], screen: 'a b c\n' },
    { name: 'a reply that was not streamed', told: [ended('a b')], screen: 'a b\n' },
    { name: 'the whole reply after a gap', told: [said('a '), gap, said('c'), ended('a b c')], screen: 'a c\na b c\n' },
    { name: 'no thoughts', told: [thought('hm'), said('a'), ended('a')], screen: 'a\n' },
    {
      name: 'an attempt that broke off, and the next',
      told: [said('a b'), reset, said('x'), ended('x y')],
      screen: 'a b\n#   (that was broken off; it begins anew)\nx y\n',
    },
    { name: 'lines of the command apart', told: [said('a'), 'tool', said('b'), ended('ab')], screen: 'a\n# tool\nb\n' },
    { name: 'nothing that steers it', told: [said('a\u001b[2J'), ended('a\u001b[2J')], screen: 'a\uFFFD[2J\n' },
  ];
  for (const { name, told, screen } of cases) {
    it(`shows ${name}`, () => {
      const { cli, screen: shown } = terminal();
      const live = createLiveText(cli);
      for (const each of told) {
        if (typeof each === 'string') live.cli.say(each);
        else live.tell(each);
      }
      assert.equal(shown(), screen);
    });
  }

  for (const [name, before, after] of [
    ['before the stream has told of it', [], [said('a '), said('b'), ended('a b')]],
    ['in the middle of it', [said('a ')], [said('b'), ended('a b')]],
    ['after its end', [said('a '), said('b'), ended('a b')], []],
  ] as const) {
    it(`shows an answer once that is settled ${name}`, () => {
      const { cli, screen } = terminal();
      const live = createLiveText(cli);
      for (const each of before) live.tell(each);
      live.settle('a b', 1);
      for (const each of after) live.tell(each);
      live.tell(said('c', 2));
      live.tell(ended('c', 2));
      live.settle('c', 2);
      assert.equal(screen(), 'a b\nc\n');
    });
  }

  it('says whose words have come, until they are broken off', () => {
    const live = createLiveText(terminal().cli);
    const heard = (): readonly boolean[] => [1, 2, 3].map((turn) => live.hasSpoken(turn));
    assert.deepEqual(heard(), [false, false, false]);
    live.tell(thought('hm'));
    assert.deepEqual(heard(), [false, false, false]);
    live.tell(said('a', 2));
    assert.deepEqual(heard(), [true, true, false]);
    live.tell({ ...reset, position: place(2) });
    assert.deepEqual(heard(), [false, false, false]);
  });

  describe('of a run', function () {
    this.timeout(60_000);
    const story = 'It came back, and nobody had to wait.';
    let provider: ProviderServer;
    let platform: TestPlatform;
    let env: NodeJS.ProcessEnv;

    before(async () => {
      provider = await startProviderServer();
      provider.always({ kind: 'reply', text: story, pieceMs: 20 });
      const standard = { id: 'openai-compatible:paced', outputTokensMax: 500, contextTokensMax: 100_000 };
      platform = await startTestPlatform({
        agents: [testAgent('teller', { models: { standard } })],
        env: { PERDURE_MODEL_BASE_URL: provider.baseUrl, PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' },
      });
      const { temporal, postgres } = await startTestServers();
      env = {
        TEMPORAL_ADDRESS: temporal.address,
        TEMPORAL_NAMESPACE: temporal.namespace,
        DATABASE_URL: postgres.url,
      };
    });

    after(async () => {
      await platform?.stop();
      await provider?.close();
    });

    it('is what a terminal shows while it is said', async () => {
      const run = await platform.start('teller', 'Tell.');
      const { cli, screen, pieces } = terminal(env);
      assert.equal(await runCli(['run', 'tail', run.id], cli), 0);
      assert.equal(screen().split(story.slice(-10)).length, 2, screen());
      assert.ok(pieces.filter((piece) => !piece.endsWith('\n')).length > 3, 'it came in pieces');
    });

    it('is whole where there is no terminal, and in pieces with --json', async () => {
      const run = await platform.start('teller', 'Tell.');
      const whole = terminal(env);
      const { write: _write, ...cli } = whole.cli;
      const json = terminal(env);
      await Promise.all([runCli(['run', 'tail', run.id], cli), runCli(['run', 'tail', run.id, '--json'], json.cli)]);
      assert.deepEqual(
        whole.pieces.filter((piece) => !piece.startsWith('#')),
        [`${story}\n`],
      );
      const told = json.pieces.map((piece) => JSON.parse(piece) as StreamProgress);
      const text = told.flatMap((each) => (each.kind === 'delta' && each.of === 'text' ? [each.text] : [])).join('');
      assert.equal(text, story);
      assert.equal(told.filter(({ kind }) => kind === 'end').length, 1);
    });
  });
});
