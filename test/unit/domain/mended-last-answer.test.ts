// Goal: the turn that mends the last turn's answer is one too: it may only answer, and the run is whole with it.
// Method: the run is played by its own decisions, with a last answer that does not fit.
import assert from 'node:assert/strict';
import { decide } from '../../../src/domain/run/decide.ts';
import { evolve } from '../../../src/domain/run/evolve.ts';
import { openRun } from '../../../src/domain/run/open-run.ts';
import type { ModelResult } from '../../../src/domain/run/results.ts';
import type { Run } from '../../../src/domain/run/run.ts';
import { samplePlan, sampleStart } from '../../property/sample-run.ts';

const NOW = { isHistoryLong: false, now: -1_000_000_000 };

const hear = (run: Run): Run => {
  const ids = run.waiting.map(({ id }) => id);
  const result = { inputs: ids.map((id) => `text:${id}`) };
  return ids.length === 0 ? run : evolve(run, { kind: 'perceived', ids, result, activeMs: 1 });
};

describe('the turn that mends the last answer', () => {
  const limits = { costPico: '1000000', tokens: 1e9, turns: 2, toolCalls: 99, activeMs: 1e9 };
  const plan = samplePlan({ limits, holdsBack: true, repairsLast: true, turnsPerExecution: 50 });
  const replied = (run: Run, rest: Partial<ModelResult & { kind: 'replied' }>): Run => {
    const result = { kind: 'replied', heard: 1, total: run.total, model: 'm', head: 'h', calls: [], ...rest } as const;
    return hear(evolve(run, { kind: 'model-called', activeMs: 1, result }));
  };
  const admitted = hear(
    evolve(openRun('run-1', sampleStart('single', 'end')), { kind: 'admitted', result: { kind: 'admitted', plan } }),
  );
  const called = replied(admitted, {
    calls: [{ tool: 'lookupOrder', args: null, argsHash: 'a', verdict: { kind: 'allow' } }],
  });
  const looked = evolve(called, {
    kind: 'tools-called',
    activeMs: 1,
    retriesBefore: 0,
    trouble: null,
    results: [{ index: 0, result: { outcome: 'ok', ref: 'r' } }],
  });

  it('may only answer, and completes the run', () => {
    const last = decide(looked, NOW);
    assert.ok(last.kind === 'call-model' && last.lastAnswer === 'last-turn');
    const misfit = replied(looked, { head: 'h2', misfit: 'no JSON', closedBy: 'turns' });
    const mend = decide(misfit, NOW);
    assert.ok(mend.kind === 'call-model' && mend.turn === 3 && mend.lastAnswer === 'last-turn', JSON.stringify(mend));
    const answer = { ref: 'a', preview: '{}', bytes: 2 };
    const mended = replied(misfit, { head: 'h3', answer, closedBy: 'turns' } as never);
    const end = decide(mended, NOW);
    assert.ok(end.kind === 'end' && end.end.outcome.kind === 'completed', JSON.stringify(end));
  });
});
