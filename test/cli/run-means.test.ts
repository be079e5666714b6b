// Goal: `run show` tells in one picture which models a run asks and why, what may be spent, and which limits hold, and nothing where there is nothing to tell.
// Method: attempts, accounts and limits as values.
import assert from 'node:assert/strict';
import { formatMeans } from '../../src/cli/format/means.ts';
import { type RunMeans, routesOf } from '../../src/cli/run-means.ts';
import { spellCommand } from '../../src/cli/spell-command.ts';
import type { TimelineEntry } from '../../src/domain/schemas/run-records.ts';

const attempt: TimelineEntry = {
  id: 'a',
  turn: 1,
  callIndex: null,
  kind: 'model',
  name: 'openai:gpt-5-mini',
  args: null,
  attempt: 1,
  worker: 'w',
  openedAt: new Date(),
  closedAt: null,
  durationMs: 5,
  outcome: 'replied',
  cause: null,
  message: null,
  inputTokens: 1_000,
  outputTokens: 500,
  cacheReadTokens: 400,
  cacheWriteTokens: 0,
  tier: 'standard',
  fallback: null,
  costPico: '1160000000',
  heldPico: null,
  isCostSimulated: false,
};
const failed: TimelineEntry = { ...attempt, outcome: 'failed', inputTokens: null, outputTokens: null, costPico: null };
const instead: TimelineEntry = {
  ...attempt,
  name: 'anthropic:claude-haiku-4-5',
  fallback: 'breaker-open openai:gpt-5-mini',
};
const own = {
  tenant: 'acme',
  kind: 'run' as const,
  id: 'r1',
  period: 'total' as const,
  endsAt: null,
  isWarned: false,
  capPico: '50000000000',
  capTokens: 100_000,
  spentPico: '3480000000',
  spentTokens: 4_500,
  heldPico: '0',
  heldTokens: 0,
  isNearCap: false,
};
const plain: RunMeans = {
  chains: [{ tier: 'standard', models: ['openai:gpt-5-mini'] }],
  routes: routesOf([attempt, attempt]),
  breakers: [],
  budgets: [own],
  limits: [],
};

describe('command line: what a run calls models with', () => {
  it('adds attempts up by model and reason; tools and waits are none', () => {
    const waited = { ...failed, tier: null, outcome: 'throttled' };
    const tool = { ...attempt, kind: 'tool' as const, name: 'lookUp@1' };
    const routes = routesOf([waited, failed, failed, instead, tool, attempt]);
    const shown = routes.map(({ model, attempts, replied, inputTokens, costPico, fallback }) =>
      [model, attempts, replied, inputTokens, costPico, fallback].join(' '),
    );
    assert.deepEqual(shown, [
      'openai:gpt-5-mini 3 1 1000 1160000000 ',
      'anthropic:claude-haiku-4-5 1 1 1000 1160000000 breaker-open openai:gpt-5-mini',
    ]);
  });

  it('says nothing where one model answered within the run’s own cap', () => {
    assert.deepEqual(formatMeans(plain), []);
  });

  it('says who was asked in whose place, and what is left alone', () => {
    const [told] = formatMeans({
      ...plain,
      chains: [{ tier: 'standard', models: ['openai:gpt-5-mini', 'anthropic:claude-haiku-4-5'] }],
      routes: routesOf([failed, instead]),
      breakers: [
        {
          model: 'openai:gpt-5-mini',
          server: '',
          status: 'open',
          calls: 5,
          failures: 5,
          since: new Date(0),
          openSeconds: 5,
          halfOpenAt: new Date(5_000),
        },
      ],
    });
    assert.equal(
      told,
      [
        'Models of tier standard: openai:gpt-5-mini, then anthropic:claude-haiku-4-5',
        '  asked                       tier      attempts  replied      tokens         cost  in the place of',
        '  openai:gpt-5-mini           standard         1        0       0 → 0     0.00 USD',
        '  anthropic:claude-haiku-4-5  standard         1        1  1000 → 500  0.00116 USD  openai:gpt-5-mini (breaker-open)',
        'openai:gpt-5-mini failed too often: its breaker is open since 1970-01-01 00:00:00 UTC, tried again at 1970-01-01 00:00:05 UTC',
        `  ${spellCommand('models reset-breaker openai:gpt-5-mini --reason "why"')}    has it called again at once`,
      ].join('\n'),
    );
  });

  it('says what every account has used as soon as one above the run has a cap, or the run is near its own', () => {
    const endsAt = new Date('2026-12-01T00:00:00Z');
    const tenant = { ...own, kind: 'tenant' as const, id: 'acme', period: 'month' as const, endsAt, capTokens: null };
    assert.deepEqual(formatMeans({ ...plain, budgets: [own, { ...tenant, heldPico: '1000000000' }] }), [
      [
        'Budget of run r1: 6 % used; it has spent 0.00348 of 0.05 USD and 4,500 of 100,000 tokens',
        'Budget of tenant acme: 8 % used; it has spent 0.00348 of 0.05 USD and 4,500 tokens, and holds 0.001 USD for calls that are at work or whose cost is not known, until 2026-12-01 00:00:00 UTC',
      ].join('\n'),
    ]);
    const near = { ...own, spentPico: '45000000000', isNearCap: true };
    assert.match(formatMeans({ ...plain, budgets: [near] })[0] ?? '', /^Budget of run r1: 90 % used/);
  });

  it('says how much of a rate limit is used, and how many calls wait for it', () => {
    const limit = { windowMs: 60_000, requests: 2, tokens: null };
    const record = {
      credential: 'openai-1',
      subject: 'openai',
      limit,
      used: { requests: 2, tokens: 0 },
      heldUntil: null,
    };
    const waiting = [{ tenant: 'acme', weight: 1, calls: 1 }];
    assert.deepEqual(formatMeans({ ...plain, limits: [{ ...record, usedAt: new Date(), waiting }] }), [
      'Limit of openai: 2 of 2 requests used in 60 s; 1 call waits',
    ]);
  });
});
