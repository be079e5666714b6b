// Goal: no message is lost or applied twice where one execution ends and the next begins.
// Method: a conversation that continues as new after every turn, while six clients send it ninety messages as updates.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { readExecutions } from '../support/workflow/history.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { signal, stateOf, untilPhase, update } from '../support/workflow/talk.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const CLIENTS = 6;
const MESSAGES_EACH = 15;

/** Between two messages of a client: a turn takes about as long, so that messages come at every point of it. */
const PAUSE_MS = 150;

/** Messages after which a client waits for the run's next turn: on a busy machine one turn would hear them all. */
const MESSAGES_TOGETHER = 5;

describe('a conversation that continues as new', () => {
  let platform: Platform;
  const model = scripted(({ parts }) => ({
    text: `heard ${parts.filter((part) => part.kind === 'user-text').length}`,
  }));

  before(async () => {
    platform = await startPlatform({
      agents: [testAgent('listener', { limits: { turns: 1_000 } })],
      scripts: { listener: model },
      env: { PERDURE_TURNS_PER_EXECUTION: '1' },
    });
  });
  after(async () => platform.close());

  it('hears every message once', async function () {
    this.timeout(120_000);
    const handle = await platform.start('listener', 'message start', { kind: 'conversation' });
    const ids = Array.from({ length: CLIENTS }, (_client, client) =>
      Array.from({ length: MESSAGES_EACH }, (_message, message) => `message-${client}-${message}`),
    );
    const receipts = await Promise.all(
      ids.map(async (own) => {
        const received: string[] = [];
        for (const [at, id] of own.entries()) {
          received.push((await update(handle, 'provideInput', { id, text: `message ${id}` }, id)).result);
          await sleep(PAUSE_MS);
          if ((at + 1) % MESSAGES_TOGETHER !== 0) continue;
          const { turn } = await stateOf(handle);
          await until('another turn', async () => {
            const state = await stateOf(handle);
            return state.turn > turn || state.phase === 'waiting';
          });
        }
        return received;
      }),
    );
    assert.deepEqual(
      receipts.flat(),
      Array.from({ length: CLIENTS * MESSAGES_EACH }, () => 'applied'),
    );
    const total = CLIENTS * MESSAGES_EACH + 1;
    await until('an answer to everything', async () => (await stateOf(handle)).answer?.preview === `heard ${total}`);
    const texts = (model.views.at(-1)?.parts ?? []).flatMap((part) => (part.kind === 'user-text' ? [part.text] : []));
    assert.deepEqual(texts.toSorted(), ['message start', ...ids.flat().map((id) => `message ${id}`)].toSorted());
    const executions = await readExecutions(platform, handle);
    assert.ok(executions.length > 3, `${executions.length} executions`);

    const { turn } = await untilPhase(handle, 'waiting');
    for (const id of ids.flat()) {
      const { result } = await update(handle, 'provideInput', { id, text: `message ${id}` });
      assert.equal(result, 'already-applied');
    }
    await signal(handle, 'provideInput', { id: 'message-0-0', text: 'message message-0-0' });
    const state = await untilPhase(handle, 'waiting');
    assert.deepEqual([state.turn, state.answer?.preview, state.rejectedMessages], [turn, `heard ${total}`, []]);

    const newest = await platform.client.workflow.getHandle(handle.workflowId).describe();
    assert.notEqual(newest.runId, handle.firstExecutionRunId);
    for (const [name, value] of Object.entries({
      PerdureTenant: platform.tenant,
      PerdureAgent: 'listener',
      PerdureMode: 'live',
      PerdurePhase: 'waiting',
      PerdureRelease: state.release,
    })) {
      assert.deepEqual(newest.searchAttributes[name], [value], name);
    }
    assert.ok(Number(newest.searchAttributes['PerdureCostUsd']?.[0]) > 0);
    await update(handle, 'requestStop', { reason: 'enough' });
    const end = await handle.result();
    assert.deepEqual([end.outcome.kind, end.turns], ['cancelled', turn]);
    console.log(`      ${total} messages, ${turn} turns, ${executions.length} executions`);
  });
});
