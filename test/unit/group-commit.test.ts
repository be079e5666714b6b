// Goal: work that waits goes together, each item hears only of its own, and what one item breaks breaks no other.
// Method: lanes over work that a test holds up, lets go and lets fail.
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { groupCommit } from '../../src/stores/group-commit.ts';

const undone = (error: unknown): boolean => (error as Error).message === 'undone';
const LANE = { batchesMax: 1, itemsMax: 4, keyOf: (item: string) => item[0] ?? '', isUndone: undone };

/** Work whose batches wait until they are let go. */
function heldWork(work: (items: readonly string[]) => readonly string[] = (items) => items) {
  const batches: (readonly string[])[] = [];
  const gates: (() => void)[] = [];
  return {
    batches,
    letGo: async () => {
      gates.shift()?.();
      for (let turns = 0; turns < 5; turns += 1) await turn();
    },
    work: async (items: readonly string[]) => {
      batches.push(items);
      await new Promise<void>((resolve) => gates.push(resolve));
      return work(items);
    },
  };
}

describe('a group commit', () => {
  it('does together what comes while a batch is under way, in its order and no more than fits', async () => {
    const held = heldWork();
    const lane = groupCommit(held.work, LANE);
    const first = lane('a1');
    await turn();
    const rest = ['b1', 'c1', 'b2', 'd1', 'e1', 'f1'].map(lane);
    await held.letGo();
    await held.letGo();
    await held.letGo();
    assert.deepEqual(held.batches, [['a1'], ['b1', 'c1', 'd1', 'e1'], ['b2', 'f1']]);
    assert.deepEqual(await Promise.all([first, ...rest]), ['a1', 'b1', 'c1', 'b2', 'd1', 'e1', 'f1']);
  });

  it('tries the items of a batch alone where it is certain that nothing was written', async () => {
    const tried: (readonly string[])[] = [];
    const lane = groupCommit<string, string>(async (items) => {
      tried.push(items);
      if (items.includes('b1')) throw new Error('undone');
      return items;
    }, LANE);
    const results = await Promise.allSettled(['a1', 'b1', 'c1'].map(lane));
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(tried, [['a1', 'b1', 'c1'], ['a1'], ['b1'], ['c1']]);
  });

  it('fails all of a batch of which nobody knows, and tries none again', async () => {
    let calls = 0;
    const lane = groupCommit<string, string>(async () => {
      calls += 1;
      throw new Error('the connection broke');
    }, LANE);
    const results = await Promise.allSettled(['a1', 'b1'].map(lane));
    assert.deepEqual([calls, results.every(({ status }) => status === 'rejected')], [1, true]);
  });

  it('does each item once and never two of a key at once, whatever fails', async () => {
    const item = fc.record({ key: fc.constantFrom('a', 'b', 'c'), fails: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(item, { maxLength: 30 }), async (items) => {
        const done: string[] = [];
        const names = items.map(({ key, fails }, index) => `${key}${index}${fails ? '!' : ''}`);
        const lane = groupCommit<string, string>(
          async (batch) => {
            assert.equal(new Set(batch.map(LANE.keyOf)).size, batch.length);
            assert.ok(batch.length <= LANE.itemsMax);
            await turn();
            if (batch.some((name) => name.endsWith('!'))) throw new Error('undone');
            done.push(...batch);
            return batch;
          },
          { ...LANE, batchesMax: 2 },
        );
        const results = await Promise.allSettled(names.map(lane));
        assert.deepEqual(done.toSorted(), names.filter((name) => !name.endsWith('!')).toSorted());
        for (const [index, result] of results.entries()) {
          assert.equal(result.status === 'fulfilled' ? result.value : `${names[index]}`, names[index]);
          assert.equal(result.status === 'rejected', items[index]?.fails);
        }
      }),
    );
  });
});
