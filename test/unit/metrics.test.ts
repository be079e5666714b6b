// Goal: the documents and the example configuration of Prometheus say of the metrics what the code says.
// Method: the table of the documents is compared with the catalogue in both directions, and the configuration with the endpoint.
import assert from 'node:assert/strict';
import { METRICS, type MetricSpec } from '../../src/workers/metrics/catalogue.ts';
import { createMetrics } from '../../src/workers/metrics/create-metrics.ts';
import { METRICS_PORT } from '../../src/workers/metrics/serve.ts';
import { STUCK_REASONS } from '../../src/domain/run/stuck.ts';
import { parseExposition } from '../support/observe/exposition.ts';
import { codeWords, parseMarkdown, tableRows } from '../tidy/markdown.ts';
import { readText } from '../tidy/repository.ts';

const document = parseMarkdown(readText('docs/observability.md'));

/** Units that a name may end in, and what the documents call them. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/_timestamp_seconds$/, 'seconds since the epoch'],
  [/_seconds$/, 'seconds'],
  [/_usd(?:_total)?$/, 'USD'],
  [/_tokens_total$/, 'tokens'],
];

function unitOf(name: string): string {
  return UNITS.find(([ending]) => ending.test(name))?.[1] ?? '';
}

describe('metrics', () => {
  it('are documented, each with its type, unit and labels, and no others', () => {
    const documented = tableRows(document.section('Metrics'))
      .filter(([first = '']) => first.startsWith('`perdure_'))
      .map(([name = '', type = '', unit = '', labels = '']) => [codeWords(name)[0], type, unit, codeWords(labels)]);
    const declared = (Object.entries(METRICS) as [string, MetricSpec][]).map(([name, { type, labels }]) => [
      name,
      type,
      unitOf(name),
      [...labels],
    ]);
    assert.deepEqual(documented, declared);
  });

  it('have the endings that Prometheus expects', () => {
    for (const [name, { type, labels }] of Object.entries(METRICS) as [string, MetricSpec][]) {
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      assert.ok(type !== 'histogram' || name.endsWith('_seconds'), name);
      assert.ok(!/_(ms|milliseconds|minutes|percent|pico)(_|$)/.test(name), name);
      assert.deepEqual(
        labels.filter((label) => /tenant|run|subject|principal|^id$|^le$/.test(label)),
        [],
        name,
      );
    }
  });

  it('are registered under these names, and show nothing that was not counted', async () => {
    const { families } = parseExposition(await createMetrics().expose());
    const own = [...families.values()].filter(({ name }) => name.startsWith('perdure_'));
    assert.deepEqual(
      own.map(({ name, type }) => [name, type]),
      (Object.entries(METRICS) as [string, MetricSpec][]).map(([name, { type }]) => [name, type]),
    );
    const shown = own.flatMap(({ samples }) => samples).filter(({ name }) => name !== 'perdure_heartbeats_late_total');
    assert.deepEqual(shown, []);
    assert.ok(families.has('process_cpu_seconds_total') && families.has('nodejs_eventloop_lag_p99_seconds'));
  });

  it('forget a gauge without a trace', async () => {
    const metrics = createMetrics();
    metrics.set('perdure_effects_unknown', {}, 3);
    metrics.set('perdure_runs', { agent: 'a"\\\n', phase: 'running' }, 2);
    const before = parseExposition(await metrics.expose());
    assert.deepEqual([before.sum('perdure_effects_unknown'), before.sum('perdure_runs')], [3, 2]);
    metrics.forget('perdure_effects_unknown');
    metrics.forget('perdure_runs');
    const { families } = parseExposition(await metrics.expose());
    assert.deepEqual(families.get('perdure_effects_unknown')?.samples, []);
    assert.deepEqual(families.get('perdure_runs')?.samples, []);
  });
});

describe('the reasons of stuck runs', () => {
  it('are documented, each with what to do, and no others', () => {
    const rows = tableRows(document.section('Stuck runs'));
    assert.deepEqual(
      rows.map(([reason = '']) => codeWords(reason)[0]),
      STUCK_REASONS,
    );
    assert.ok(rows.every(([, what = '', mend = '']) => what.length > 20 && mend.length > 20));
  });
});

describe('the example configuration of Prometheus', () => {
  it('scrapes the port and the path that are served, and is what the documents show', () => {
    const text = readText('temporal-config/prometheus.yml');
    assert.match(text, /^ {4}metrics_path: \/metrics$/m);
    assert.match(text, new RegExp(`^ {10}- 127\\.0\\.0\\.1:${METRICS_PORT}$`, 'm'));
    const meaning = text.replaceAll(/^#.*\n/gm, '').trim();
    const shown = document.blocks.filter(({ language }) => language === 'yaml').map((block) => block.text.trim());
    assert.deepEqual(shown, [meaning]);
  });
});
