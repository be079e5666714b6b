// Goal: what a schedule starts is told as one run, in its own trace: the workflow that started it is no run.
// Method: a real worker process that traces, a collector of the test, and a start as a schedule makes it.
import assert from 'node:assert/strict';
import { traceIdsOf } from '../../src/domain/run/trace-ids.ts';
import { until } from '../support/workflow/until.ts';
import { openTracedLab, type TracedLab } from './traced-run.ts';

describe('traces of a scheduled run', function () {
  this.timeout(120_000);
  let lab: TracedLab;
  before(async () => {
    lab = await openTracedLab();
  });
  after(async () => lab.close());

  it('have one first span, that of the run', async () => {
    const worker = await lab.worker();
    const { tenant, temporal } = lab;
    const workflowId = `schedule:${tenant}:often`;
    const handle = await temporal.workflow.start('startScheduledRun', {
      workflowId,
      taskQueue: `${tenant.slice('tenant-'.length)}-agents`,
      args: [
        {
          tenant,
          principal: 'tester',
          agent: 'traced',
          input: JSON.stringify({ turns: [] }),
          kind: 'single',
          mode: 'live',
          whenExhausted: 'end',
          scheduleId: 'often',
          deadlineMs: 60_000,
          summary: 'traced',
        },
      ],
    });
    const result = (await handle.result()) as { readonly agentRunId: string; readonly outcome: string };
    assert.equal(result.outcome, 'completed');
    await worker.terminate();
    const own = traceIdsOf(result.agentRunId);
    await until('the trace of the run', async () =>
      lab.collector.spans.some(({ traceId, parentSpanId }) => traceId === own.traceId && parentSpanId === null),
    );
    const runs = lab.collector.spans.filter(({ name }) => name.startsWith('invoke_agent'));
    assert.deepEqual(
      runs.map(({ name, traceId }) => [name, traceId]),
      [['invoke_agent traced', own.traceId]],
    );
    // It has a trace of its own: the run's is whole without it.
    const starting = lab.collector.spans.filter(({ name }) => name.includes('startScheduledRun'));
    assert.ok(starting.length > 0 && starting.every(({ traceId }) => traceId === traceIdsOf(workflowId).traceId));
    const named = lab.collector.spans.filter(({ attributes }) => attributes['perdure.run'] === workflowId);
    assert.deepEqual(
      named.map(({ name }) => name).filter((name) => !name.startsWith('StartWorkflow:')),
      [],
    );
  });
});
