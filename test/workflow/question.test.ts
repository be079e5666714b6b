// Goal: what is said while a question is open does not give it more time.
// Method: a run on the real server whose question expires after three seconds, steered after two.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { stateOf, untilAsked, update } from '../support/workflow/talk.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const DEADLINE_MS = 3_000;

describe('an open question', () => {
  let platform: Platform;

  before(async () => {
    platform = await startPlatform({
      agents: [testAgent('asker', { asksPerson: { deadlineMs: DEADLINE_MS } })],
      scripts: { asker: scripted(() => ({ toolCalls: [{ tool: 'askPerson', input: { question: 'Which one?' } }] })) },
    });
  });
  after(async () => platform.close());

  it('gets no more time because something else was said', async () => {
    const handle = await platform.start('asker', 'Which?');
    await untilAsked(platform, handle, 'question');
    const askedAt = Date.now();
    await sleep(2_000);
    await update(handle, 'steer', { text: 'Be quick.' });
    await until('guidance', async () => (await stateOf(handle)).waitingMessages === 0);
    const { outcome } = await handle.result();
    assert.deepEqual([outcome.kind, 'cause' in outcome && outcome.cause], ['failed', 'human-timeout']);
    assert.ok(Date.now() - askedAt < 2_000 + DEADLINE_MS, 'the question was given its time again');
  });
});
