// Goal: a recording is played by position, whatever else differs, and never what was not asked for.
// Method: recordings written by hand, asked through the `fetch` that plays them.
import assert from 'node:assert/strict';
import type { JsonValue } from '../../../src/domain/json.ts';
import { playFetch } from '../../../src/activities/recorded/play-fetch.ts';
import { type CountPlayed, type PlayerOptions, recorded } from '../../../src/activities/recorded/player.ts';

const RECORDED = 'recordedRecordedRecord';
const LIVE = 'liveLiveLiveLiveLiveLi';
const MODEL = 'openai:m';

type Spoken = { readonly turn: number; readonly body: JsonValue; readonly reply: string; readonly atMs?: number };

function textOf(calls: readonly Spoken[], masks = {}): string {
  const lines = calls.flatMap(({ turn, body, reply, atMs = 0 }, index) => [
    {
      kind: 'asked',
      id: `c${index}`,
      turn,
      model: MODEL,
      at: String(index),
      request: { method: 'POST', url: 'http://then/v1/chat/completions', body },
    },
    {
      kind: 'answered',
      id: `c${index}`,
      status: 200,
      headers: { 'content-type': 'text/plain' },
      body: reply,
      encoding: 'text',
      chunks: [[atMs, Buffer.byteLength(reply)]],
      end: 'whole',
      endMs: atMs,
      errors: [],
    },
  ]);
  return [{ kind: 'recording', version: 1, run: RECORDED, masks }, ...lines]
    .map((line) => JSON.stringify(line))
    .join('\n');
}

function play(calls: readonly Spoken[], options: PlayerOptions = {}, masks = {}, played?: CountPlayed) {
  const model = recorded(textOf(calls, masks), options);
  const fetch = playFetch(model, MODEL, played);
  const ask = async (turn: number, body: JsonValue, signal?: AbortSignal, run = LIVE): Promise<string> => {
    const headers = { 'x-client-request-id': `${run}-${turn}-1-1-abcdef01` };
    const init = { method: 'POST', headers, body: JSON.stringify(body), ...(signal === undefined ? {} : { signal }) };
    return (await fetch('http://now/v1/chat/completions', init)).text();
  };
  return { model, ask };
}

const said = (text: string): JsonValue => ({ messages: [{ role: 'user', content: text }] });

const looked = (id: string, argument: string): JsonValue => ({
  contents: [
    { parts: [{ functionCall: { id, name: 'look', args: { id: argument } } }] },
    { parts: [{ functionResponse: { id, name: 'look', response: { content: 'x' } } }] },
  ],
});

describe('a played recording', () => {
  it('is played by any number of runs, each from its beginning', async () => {
    const { ask, model } = play([
      { turn: 1, body: said('a'), reply: 'first' },
      { turn: 1, body: said('a'), reply: 'second' },
    ]);
    const other = LIVE.toLowerCase();
    assert.deepEqual(await Promise.all([ask(1, said('a')), ask(1, said('a'), undefined, other)]), ['first', 'first']);
    assert.throws(() => model.assertUsed(), /1 recorded reply of turn 1 was not used; .*1 recorded reply of turn 1/);
    assert.deepEqual([await ask(1, said('a')), await ask(1, said('a'), undefined, other)], ['second', 'second']);
    model.assertUsed();
  });

  it('is left by a run that goes past a reply, and by one that never plays it', async () => {
    const calls = [1, 1, 2].map((turn) => ({ turn, body: said('a'), reply: 'x' }));
    const { ask, model } = play(calls);
    assert.throws(() => model.assertUsed(), /no run has played it/);
    await ask(1, said('a'));
    await assert.rejects(ask(2, said('a')), /left in turn 2: 1 recorded reply of turn 1 was not used/);
  });

  it('goes on where the run is, whichever process has played what was before', async () => {
    const calls = [1, 1, 2, 3, 3].map((turn, index) => ({ turn, body: said('a'), reply: `reply ${index}` }));
    const played = new Map<number, number>();
    const [one, other] = [0, 1].map(() => play(calls, {}, {}, async () => new Map(played)));
    assert.ok(one && other);
    const heard: string[] = [];
    for (const [index, { turn }] of calls.entries()) {
      const { ask } = index % 2 === 0 ? one : other;
      // The first answer was lost with its process: nobody has heard it.
      await ask(turn, said('a'));
      heard.push(await (index % 3 === 0 ? other : one).ask(turn, said('a')));
      played.set(turn, (played.get(turn) ?? 0) + 1);
    }
    assert.deepEqual(
      heard,
      calls.map(({ reply }) => reply),
    );
    played.set(2, 0);
    await assert.rejects(one.ask(4, said('a')), /1 recorded reply of turn 2 was not used/);
  });

  it('compares calls of tools by their order where their ids differ, and not what is in them', async () => {
    const calls = [{ turn: 1, body: looked('then', 'a'), reply: 'x' }];
    assert.equal(await play(calls).ask(1, looked('now', 'a')), 'x');
    await assert.rejects(play(calls).ask(1, looked('now', 'b')), /contents differ at contents\[0\]/);
  });

  it('compares results that are JSON no more where they are masked', async () => {
    const result = '{"z":1,"card":4111111111111111,"password":12345678}';
    const call = { turn: 1, body: said('{"z":1,"card":[card-1],"password":[key-1]}'), reply: 'pay [card-1]' };
    assert.equal(await play([call]).ask(1, said(result)), 'pay 4111111111111111');
  });

  it('compares without the run itself, its caller, and the order of members', async () => {
    const before = { user: 'u1', messages: [{ content: `{"b":1,"a":"${RECORDED}"}`, role: 'tool' }] };
    const now = { messages: [{ role: 'tool', content: `{"a":"${LIVE}","b":1}` }], user: 'u2' };
    assert.equal(await play([{ turn: 1, body: before, reply: 'x' }]).ask(1, now), 'x');
  });

  it('gives masks their values back, whichever order they stand in', async () => {
    const body = said('{"z":"[email-1]","a":"[email-2]"}');
    const reply = 'z is [email-1], a is [email-2], new is [email-3]';
    const { ask } = play([{ turn: 1, body, reply }]);
    assert.equal(await ask(1, said('{"a":"a@x.org","z":"z@x.org"}')), 'z is z@x.org, a is a@x.org, new is [email-3]');
  });

  it('compares what changes from run to run as its mask', async () => {
    const call = { turn: 1, body: said('It is 10:30.'), reply: 'x' };
    await assert.rejects(play([call]).ask(1, said('It is 11:45.')), /from character 7/);
    assert.equal(await play([call], { mask: { time: /\d\d:\d\d/ } }).ask(1, said('It is 11:45.')), 'x');
    const masked = { turn: 1, body: said('It is [time-1].'), reply: 'at [time-1]' };
    assert.equal(await play([masked], {}, { time: String.raw`\d\d:\d\d` }).ask(1, said('It is 11:45.')), 'at 11:45');
  });

  it('waits as long as the provider did where that is asked for, and stops when it is told to', async () => {
    const calls = [1, 2].map((turn) => ({ turn, body: said('a'), reply: 'x', atMs: turn * 300 }));
    const { ask } = play(calls, { latency: 'recorded' });
    const began = performance.now();
    await ask(1, said('a'));
    assert.ok(performance.now() - began >= 290);
    const signal = AbortSignal.timeout(20);
    await assert.rejects(ask(2, said('a'), signal), { name: 'TimeoutError' });
  });
});
