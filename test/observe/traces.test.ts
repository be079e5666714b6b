/**
 * Goal: each run is one whole trace, whoever acts on it and whatever restarts, with gen_ai names and without anybody's words.
 * Method: real runs on worker processes that send OTLP to a collector of the test; its spans are held against Temporal's histories.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { context, trace } from '@opentelemetry/api';
import { z } from 'zod';
import type { RunHandle } from '../../src/client/index.ts';
import { traceIdsOf } from '../../src/domain/run/trace-ids.ts';
import { ATTRIBUTES } from '../../src/runtime/gen-ai.ts';
import type { CollectedSpan } from '../support/collector.ts';
import { until } from '../support/workflow/until.ts';
import { codeWords, parseMarkdown, tableRows } from '../tidy/markdown.ts';
import { readText } from '../tidy/repository.ts';
import { contentSchema, hasRules, problemsOf, readRules } from './rules.ts';
import { approve, openTracedLab, PLANTED, type TracedLab } from './traced-run.ts';

/** Spans leave a worker soon, so that one which is killed takes none along. */
const SOON = { OTEL_BSP_SCHEDULE_DELAY: '50' };

describe('traces', function () {
  this.timeout(180_000);
  let lab: TracedLab;
  before(async () => {
    lab = await openTracedLab();
  });
  after(async () => lab.close());

  const spansOf = ({ id }: RunHandle): readonly CollectedSpan[] =>
    lab.collector.spans.filter(({ traceId }) => traceId === traceIdsOf(id).traceId);

  /** Waits for the run's first span, which is written last, and for those of the client. */
  const untilTraced = async (run: RunHandle, isClientTraced = true): Promise<void> => {
    await until(
      'the whole trace',
      async () => {
        const spans = spansOf(run);
        const isToldByClient = spans.some(({ name }) => name.startsWith('StartWorkflowUpdate'));
        return spans.some(({ parentSpanId }) => parentSpanId === null) && (isToldByClient || !isClientTraced);
      },
      { timeoutMs: 60_000 },
    );
  };

  describe('of a run with an approval, a retry and a continue-as-new', () => {
    let run: RunHandle;
    let spans: readonly CollectedSpan[];

    before(async () => {
      lab.provider.next({ kind: 'status', status: 500, body: { error: { message: `no ${PLANTED.provider}` } } });
      const worker = await lab.worker({ OTEL_SERVICE_NAME: 'named-by-the-environment' });
      const caller = trace.getTracer('tests').startSpan('request of a user');
      run = await context.with(trace.setSpan(context.active(), caller), async () => lab.start());
      caller.end();
      await approve(run);
      await complete(run);
      await worker.terminate();
      await untilTraced(run);
      spans = spansOf(run);
      assert.ok(spans.some(({ links }) => links[0]?.traceId === caller.spanContext().traceId));
    });

    it('is whole', async () => {
      const { attempts, executions } = await lab.attemptsOf(run);
      assert.ok(executions >= 2, `${executions} executions`);
      assert.ok(attempts.includes('look@1 2') && attempts.includes('callModel 2'), attempts.join(', '));
      assertWhole(spans, run.id, attempts);
    });

    it('has every span in its place', () => assertPlaces(spans));

    it('is the only trace that knows the run', () => {
      const known = lab.collector.spans.filter(({ attributes }) => attributes['perdure.run'] === run.id);
      assert.deepEqual([...new Set(known.map(({ traceId }) => traceId))], [traceIdsOf(run.id).traceId]);
    });

    it('begins with the run and ends with it', () => {
      const [root] = spans.filter(({ parentSpanId }) => parentSpanId === null);
      const executions = spans.filter(({ name }) => name === 'RunWorkflow:agentRun');
      const begun = executions.map(({ startedAt }) => startedAt).reduce((a, b) => (a < b ? a : b));
      const ended = executions.map(({ endedAt }) => endedAt).reduce((a, b) => (a > b ? a : b));
      const slackNs = 1_000_000_000n;
      assert.ok(root !== undefined && root.startedAt <= begun + slackNs && root.startedAt >= begun - slackNs);
      assert.ok(root.endedAt >= ended - slackNs && root.endedAt <= ended + slackNs);
    });

    it('says why what failed has failed, in our words', () => {
      const failed = spans.filter(({ isError }) => isError);
      const causes = failed.map(({ name, attributes }) => `${name}: ${String(attributes['error.type'])}`);
      assert.ok(causes.includes('chat paid: model-error') && causes.includes('execute_tool look: tool-error'));
      const [refused] = spans.filter(({ name }) => name === 'execute_tool refuse');
      assert.deepEqual([refused?.isError, refused?.attributes['perdure.outcome']], [false, 'refused']);
    });

    it('has what a call used and cost', () => {
      const replied = spans.filter(({ name, isError }) => name === 'chat paid' && !isError);
      assert.equal(replied.length, 4);
      for (const { attributes } of replied) {
        assert.ok(Number(attributes['gen_ai.usage.input_tokens']) > 0 && Number(attributes['perdure.cost_usd']) > 0);
      }
      const [root] = spans.filter(({ parentSpanId }) => parentSpanId === null);
      const sum = replied.reduce((total, { attributes }) => total + Number(attributes['perdure.cost_usd']), 0);
      assert.ok(Number(root?.attributes['perdure.cost_usd']) >= sum - 1e-9);
    });

    it('follows the gen_ai conventions', function () {
      if (!hasRules) this.skip();
      const rules = readRules();
      const problems = spans.flatMap((span) => problemsOf(rules, span));
      assert.deepEqual(problems, []);
      const ruled = spans.filter(({ attributes }) => attributes['gen_ai.operation.name'] !== undefined);
      assert.equal(new Set(ruled.map(({ attributes }) => attributes['gen_ai.operation.name'])).size, 3);
    });

    it('tells nobody what was said', () => {
      for (const words of Object.values(PLANTED)) assert.ok(!lab.collector.text().includes(words), words);
    });

    it("is sent as OpenTelemetry's variables say", () => {
      assert.ok(lab.collector.headers.some((headers) => headers['x-planted'] === 'header'));
      assert.ok(spans.some(({ service }) => service === 'named-by-the-environment'));
    });
  });

  describe('of other runs', () => {
    it('is whole where the worker is restarted in the middle of a model call', async () => {
      const threeTurns = { PERDURE_TURNS_PER_EXECUTION: '3' };
      const first = await lab.worker(threeTurns);
      const run = await lab.start();
      // What asks for the approval asks the run, and questions are not replayed: they must leave no mark in what replay repeats.
      await until('approval', async () => (await run.pending()).length > 0, { timeoutMs: 60_000 });
      const asked = lab.provider.ledger.length;
      lab.provider.next({ kind: 'hang' });
      await approve(run);
      await until('the call', async () => lab.provider.ledger.length > asked, { timeoutMs: 60_000 });
      await first.terminate();
      const second = await lab.worker(threeTurns);
      await complete(run);
      await second.terminate();
      await untilTraced(run);
      const { attempts } = await lab.attemptsOf(run);
      assert.ok(attempts.includes('callModel 2'), attempts.join(', '));
      assertWhole(spansOf(run), run.id, attempts);
      assertPlaces(spansOf(run));
    });

    it('is whole where the worker is killed in the middle, once its spans have left', async () => {
      const first = await lab.worker(SOON);
      const run = await lab.start();
      await until('approval', async () => (await run.pending()).length > 0, { timeoutMs: 60_000 });
      // The row of the approval is written in the background; then nothing is in flight.
      await until('the span of the question', async () =>
        spansOf(run).some(({ name }) => name === 'StartActivity:requestApproval'),
      );
      await sleep(1_000);
      await first.kill();
      const second = await lab.worker();
      await approve(run);
      await complete(run);
      await second.terminate();
      await untilTraced(run);
      assertWhole(spansOf(run), run.id, (await lab.attemptsOf(run)).attempts);
      assertPlaces(spansOf(run));
    });

    it('is whole where the client does not trace', async () => {
      const worker = await lab.worker();
      const run = await lab.start({ traced: false });
      await approve(run);
      await complete(run);
      await worker.terminate();
      await untilTraced(run, false);
      assertWhole(spansOf(run), run.id, (await lab.attemptsOf(run)).attempts);
    });

    it('is not sent where the sampler of the worker takes nothing and the client does not trace', async () => {
      const worker = await lab.worker({ OTEL_TRACES_SAMPLER: 'always_off' });
      const run = await lab.start({ traced: false });
      await approve(run);
      await complete(run);
      await worker.terminate();
      assert.deepEqual(spansOf(run), []);
    });

    it('has the words where that is asked for, as the conventions want them', async () => {
      const worker = await lab.worker({ OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'true' });
      const run = await lab.start();
      await approve(run);
      await complete(run);
      await worker.terminate();
      await untilTraced(run);
      const [last] = spansOf(run).filter(
        ({ name, attributes }) => name === 'chat paid' && attributes['perdure.turn'] === 4,
      );
      for (const name of ['input.messages', 'output.messages', 'system_instructions']) {
        const text = last?.attributes[`gen_ai.${name}`];
        assert.equal(typeof text, 'string', name);
        if (!hasRules) continue;
        const parsed = contentSchema(name).safeParse(JSON.parse(String(text)));
        assert.ok(parsed.success, z.prettifyError(parsed.error ?? new z.ZodError([])));
      }
      const text = JSON.stringify(last?.attributes);
      for (const words of [PLANTED.instructions, PLANTED.prompt, PLANTED.arguments, PLANTED.answer]) {
        assert.ok(text.includes(words), words);
      }
      const [pay] = spansOf(run).filter(({ name }) => name === 'execute_tool pay');
      assert.match(String(pay?.attributes['gen_ai.tool.call.arguments']), new RegExp(PLANTED.arguments));
      assert.match(String(pay?.attributes['gen_ai.tool.call.result']), /paid/);
    });

    it('has what else a client does to a run', async () => {
      const worker = await lab.worker();
      const run = await lab.start();
      await until('approval', async () => (await run.pending()).length > 0, { timeoutMs: 60_000 });
      await lab.temporal.workflow
        .getHandle(run.id)
        .signal('steer', { id: 's', principal: 'tester', text: 'Be quick.' });
      await run.cancel();
      assert.equal((await run.result()).outcome.kind, 'cancelled');
      await worker.terminate();
      await untilTraced(run, false);
      await until('the cancellation', async () => spansOf(run).some(({ name }) => name === 'CancelWorkflow'));
      assertWhole(spansOf(run), run.id, (await lab.attemptsOf(run)).attempts);
      const names = spansOf(run).map(({ name }) => name);
      assert.deepEqual(
        ['SignalWorkflow:steer', 'HandleSignal:steer', 'CancelWorkflow'].filter((name) => !names.includes(name)),
        [],
      );
    });
  });

  // Last, because it looks at what all of these runs have produced.
  describe('the document', () => {
    const document = parseMarkdown(readText('docs/observability.md'));
    const listed = (section: string): readonly string[] =>
      tableRows(document.section(section)).flatMap(([first = '']) => codeWords(first));

    it('lists every attribute that is sent, and no other', () => {
      const documented = listed('Attributes');
      const sent = new Set(lab.collector.spans.flatMap(({ attributes }) => Object.keys(attributes)));
      assert.deepEqual(documented.toSorted(), [...sent].toSorted());
      assert.deepEqual(
        Object.values(ATTRIBUTES).filter((name) => !documented.includes(name)),
        [],
      );
    });

    it('lists every span that is sent, and no other', () => {
      const documented = listed('Spans').map((name) => ({
        name,
        pattern: new RegExp(`^${name.replaceAll(/\{\w+\}/g, '\\S+')}$`),
      }));
      const sent = new Set(lab.collector.spans.map(({ name }) => name));
      sent.delete('request of a user');
      assert.deepEqual(
        [...sent].filter((name) => !documented.some(({ pattern }) => pattern.test(name))),
        [],
      );
      assert.deepEqual(
        documented.filter(({ pattern }) => ![...sent].some((name) => pattern.test(name))).map(({ name }) => name),
        [],
      );
    });
  });
});

async function complete(run: RunHandle): Promise<void> {
  const { outcome } = await run.result();
  assert.equal(outcome.kind, 'completed', JSON.stringify(outcome));
}

/** No span is there twice, all have one trace, every parent is there, and every attempt that the history knows has its span. */
function assertWhole(spans: readonly CollectedSpan[], agentRunId: string, attempts: readonly string[]): void {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  assert.equal(ids.size, spans.length, 'no span is there twice');
  const orphans = spans.filter(({ parentSpanId }) => parentSpanId !== null && !ids.has(parentSpanId));
  assert.deepEqual(
    orphans.map(({ name }) => name),
    [],
  );
  const roots = spans.filter(({ parentSpanId }) => parentSpanId === null);
  assert.deepEqual(
    roots.map(({ name, spanId }) => [name, spanId]),
    [['invoke_agent traced', traceIdsOf(agentRunId).spanId]],
  );
  const traced = spans.filter(({ name }) => name.startsWith('RunActivity:'));
  const seen = traced.map(({ name, attributes }) => `${name.slice(12)} ${String(attributes['perdure.attempt'])}`);
  assert.deepEqual(seen.toSorted(), attempts);
}

/** Which span stands under which. */
const PARENTS: readonly (readonly [child: RegExp, parent: RegExp])[] = [
  [/^StartWorkflow:agentRun$/, /^invoke_agent traced$/],
  [/^StartWorkflowUpdate:decideApproval$/, /^invoke_agent traced$/],
  [/^HandleUpdate:decideApproval$/, /^StartWorkflowUpdate:decideApproval$/],
  [/^RunWorkflow:agentRun$/, /^(StartWorkflow|ContinueAsNew):agentRun$/],
  [/^ContinueAsNew:agentRun$/, /^RunWorkflow:agentRun$/],
  [/^StartActivity:/, /^RunWorkflow:agentRun$/],
  [/^chat /, /^RunActivity:callModel$/],
  [/^execute_tool look$/, /^RunActivity:look@1$/],
  [/^execute_tool pay$/, /^RunActivity:pay@1$/],
  [/^execute_tool refuse$/, /^RunActivity:refuse@1$/],
];

function assertPlaces(spans: readonly CollectedSpan[]): void {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  for (const [child, parent] of PARENTS) {
    const found = spans.filter(({ name }) => child.test(name));
    assert.ok(found.length > 0, `there is ${child}`);
    for (const span of found) assert.match(byId.get(span.parentSpanId ?? '')?.name ?? 'none', parent, span.name);
  }
  for (const span of spans.filter(({ name }) => name.startsWith('RunActivity:'))) {
    assert.equal(byId.get(span.parentSpanId ?? '')?.name, span.name.replace('RunActivity', 'StartActivity'));
  }
  const attempts = spans.filter(
    ({ name, attributes }) => name === 'RunActivity:look@1' && attributes['perdure.turn'] === 1,
  );
  assert.deepEqual(attempts.map(({ attributes }) => String(attributes['perdure.attempt'])).toSorted(), ['1', '2']);
  assert.equal(new Set(attempts.map(({ parentSpanId }) => parentSpanId)).size, 1, 'attempts are siblings');
}
