// Goal: a busy worker is not taken for a dead one, with 100 activities at once and its event loop blocked for 300 ms again and again.
// Method: runs them on a real worker whose tool blocks the process, and looks for a second attempt in the histories.
import assert from 'node:assert/strict';
import { type Lab, openLab } from '../support/crash/lab.ts';
import { startTestServers } from '../support/servers.ts';

/** Three heartbeat timeouts long. */
const WORK_MS = 6_500;

describe('heartbeats', function () {
  this.timeout(60_000);
  let lab: Lab;

  before(async () => {
    lab = await openLab(await startTestServers());
  });

  after(async () => lab.close());

  it('keep 100 activities alive in a process that is blocked for 300 ms again and again', async () => {
    const group = lab.group('busy');
    const worker = group.worker();
    await worker.ready;
    const calls = Array.from({ length: 25 }, (_, index) => ({
      tool: 'lookUpSlowly',
      input: { case: `c${index}`, ms: WORK_MS },
    }));
    const handles = await Promise.all(Array.from({ length: 4 }, () => group.start({ turns: [calls] })));
    for (const handle of handles) {
      const end = await handle.result();
      assert.deepEqual(end.outcome, { kind: 'completed' });
      assert.equal(end.toolCalls, 25);
      assert.equal(await lab.attemptsOf(handle), 1);
    }
    await group.close();
  });
});
