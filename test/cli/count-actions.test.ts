// Goal: the actions that Temporal bills for a run are counted from its history as Temporal documents them.
// Method: recorded histories whose events were counted by hand, and events made for what they do not have.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { countActions } from '../../src/cli/receipt/count-actions.ts';
import { ROOT } from '../tidy/repository.ts';

type Events = Parameters<typeof countActions>[0];

describe('actions of a history', () => {
  for (const [name, parts] of [
    ['one-answer', { starts: 1, timers: 1, attempts: 4, upserts: 2 }],
    ['reads-and-writes', { starts: 1, timers: 1, attempts: 11, upserts: 2 }],
    ['paused-and-steered', { starts: 1, timers: 1, attempts: 9, upserts: 4, updates: 2, signals: 2 }],
    ['conversation-2', { starts: 1, timers: 1, attempts: 13, upserts: 7, updates: 2, signals: 1 }],
    // Three of its activities needed a second attempt.
    ['blocked-and-retried', { starts: 1, timers: 1, attempts: 9 + 3, upserts: 5, updates: 1 }],
  ] as const) {
    const expected = Object.values<number>(parts).reduce((sum, count) => sum + count, 0);
    it(`are ${expected} for ${name}`, () => {
      const file = join(ROOT, 'test/replay/histories', `${name}.json`);
      const { events } = JSON.parse(readFileSync(file, 'utf8')) as { events: Events };
      assert.equal(countActions(events), expected);
    });
  }

  it('are not made by the search attribute of versioning alone', () => {
    assert.equal(countActions([upsert('TemporalChangeVersion')]), 0);
    assert.equal(countActions([upsert('TemporalChangeVersion', 'PerdurePhase'), upsert('PerdureCostUsd')]), 2);
  });
});

function upsert(...names: readonly string[]): Events[number] {
  const indexedFields = Object.fromEntries(names.map((name) => [name, {}]));
  return { upsertWorkflowSearchAttributesEventAttributes: { searchAttributes: { indexedFields } } };
}
