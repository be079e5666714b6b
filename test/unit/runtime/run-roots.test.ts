/**
 * Goal: the first span of a run has the ids that follow from the run's, and the process's own sampler decides about it.
 * Method: providers of the SDK with each kind of sampler, and carriers of clients that trace, do not trace, or speak of another trace.
 */
import assert from 'node:assert/strict';
import { trace, TraceFlags } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { carrierFor, traceIdsOf } from '../../../src/domain/run/trace-ids.ts';
import { createRunRoots, type RunRoots } from '../../../src/runtime/run-roots.ts';

function rootsWith(sampler: Sampler): RunRoots {
  const roots = createRunRoots();
  roots.use(new BasicTracerProvider({ sampler, idGenerator: roots.idGenerator }).getTracer('test'));
  return roots;
}

const isSampled = (roots: RunRoots, run: string): boolean =>
  trace.getSpanContext(roots.contextOf(run))?.traceFlags === TraceFlags.SAMPLED;

describe('first spans of runs', () => {
  it('have ids of their run alone', () => {
    const { traceId, spanId } = traceIdsOf('a-run');
    assert.match(`${traceId} ${spanId}`, /^[0-9a-f]{32} [0-9a-f]{16}$/);
    const found = trace.getSpanContext(rootsWith(new AlwaysOnSampler()).contextOf('a-run'));
    assert.deepEqual([found?.traceId, found?.spanId], [traceId, spanId]);
    assert.notEqual(traceIdsOf('another-run').traceId, traceId);
  });

  it('leave other ids random', () => {
    const roots = rootsWith(new AlwaysOnSampler());
    roots.contextOf('a-run');
    const ids = Array.from({ length: 100 }, () => roots.idGenerator.generateSpanId());
    assert.equal(new Set([...ids, traceIdsOf('a-run').spanId]).size, 101);
  });

  it('are taken as the sampler says, the same each time', () => {
    assert.equal(isSampled(rootsWith(new AlwaysOffSampler()), 'a-run'), false);
    assert.equal(isSampled(rootsWith(new ParentBasedSampler({ root: new AlwaysOffSampler() })), 'a-run'), false);
    const half = rootsWith(new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.5) }));
    const runs = Array.from({ length: 400 }, (_, index) => `run-${index}`);
    const taken = runs.filter((run) => isSampled(half, run));
    assert.ok(taken.length > 120 && taken.length < 280, `${taken.length} of 400`);
    assert.deepEqual(
      runs.filter((run) => half.isSampledHere(traceIdsOf(run).traceId)),
      taken,
    );
  });

  it('are the place of whatever comes without one, or with one of another trace', () => {
    const { traceId, spanId } = traceIdsOf('a-run');
    const under = { traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'perdure=untraced-start' };
    assert.deepEqual(carrierFor('a-run', undefined), under);
    assert.deepEqual(carrierFor('a-run', {}), under);
    assert.deepEqual(carrierFor('a-run', { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }), under);
    const given = { traceparent: `00-${traceId}-${'b'.repeat(16)}-00` };
    assert.deepEqual(carrierFor('a-run', given), given);
  });
});
