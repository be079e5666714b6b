// Goal: a process makes no more calls of a model at once than it may, and what finds no place, or is called off while it waits, never begins.
// Method: work that ends when the test says so.
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { createBulkheads, NoPlace } from '../../../src/activities/model/routing/bulkheads.ts';

describe('bulkheads', () => {
  const never = new AbortController().signal;

  const setUp = (callsMax: number, queueMs?: number) => {
    const bulkheads = createBulkheads(callsMax, queueMs);
    const begun: string[] = [];
    const ends = new Map<string, () => void>();
    const enter = (name: string, model = 'm', signal = never): Promise<string> =>
      bulkheads.enter(model, signal, async () => {
        begun.push(name);
        await new Promise<void>((resolve) => ends.set(name, resolve));
        return name;
      });
    return { begun, enter, end: (name: string) => ends.get(name)?.() };
  };

  it('let as many work as they may, half as many wait, and refuse the rest', async () => {
    const { begun, enter, end } = setUp(2);
    const [a, b, c] = [enter('a'), enter('b'), enter('c')];
    await assert.rejects(enter('d'), NoPlace);
    assert.deepEqual(begun, ['a', 'b']);
    end('a');
    assert.equal(await a, 'a');
    await turn();
    assert.deepEqual(begun, ['a', 'b', 'c']);
    end('b');
    end('c');
    assert.deepEqual(await Promise.all([b, c]), ['b', 'c']);
  });

  it('hold each model on its own', async () => {
    const { begun, enter, end } = setUp(1);
    const work = [enter('a', 'one'), enter('b', 'two')];
    await turn();
    assert.deepEqual(begun, ['a', 'b']);
    end('a');
    end('b');
    await Promise.all(work);
  });

  it('never begin what was called off while it waited', async () => {
    const { begun, enter, end } = setUp(1);
    const first = enter('a');
    const controller = new AbortController();
    const second = enter('b', 'm', controller.signal);
    controller.abort(new Error('called off'));
    await assert.rejects(second, /called off/);
    end('a');
    await first;
    await turn();
    assert.deepEqual(begun, ['a']);
  });

  it('pass on what work fails with', async () => {
    const failing = createBulkheads(1).enter('m', never, async () => Promise.reject(new RangeError('own')));
    await assert.rejects(failing, RangeError);
  });

  it('give up a wait that is too long', async () => {
    const { begun, enter, end } = setUp(1, 30);
    const first = enter('a');
    await assert.rejects(enter('b'), NoPlace);
    end('a');
    await first;
    await turn();
    assert.deepEqual(begun, ['a']);
  });
});
