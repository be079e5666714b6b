/** How a lane takes its work. */
export type LaneOptions<Item> = {
  /** Batches under way at once. */
  readonly batchesMax: number;
  /** Items of one batch. */
  readonly itemsMax: number;
  /** Items of one key are never in the same batch: each sees what the one before did. */
  readonly keyOf: (item: Item) => string;
  /** Says of an error whether it is certain that nothing of the batch was written: each item is then tried alone, and hears only of its own. */
  readonly isUndone: (error: unknown) => boolean;
};

type Waiting<Item, Result> = {
  readonly item: Item;
  readonly key: string;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
};

/**
 * Makes a lane that does work in batches: what comes while a batch is under way waits and goes together in the next one. A row that every
 * transaction changes admits one commit after the other, so what bounds it is commits per second, not work; with n items to a commit it takes n
 * times as many. Nothing is acknowledged before its commit, and the commit is a durable one: with `synchronous_commit` off the last
 * reservations before a crash of the server would be forgotten while their calls are charged.
 */
export function groupCommit<Item, Result>(
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
  { batchesMax, itemsMax, keyOf, isUndone }: LaneOptions<Item>,
): (item: Item) => Promise<Result> {
  let waiting: Waiting<Item, Result>[] = [];
  let underWay = 0;

  function take(): readonly Waiting<Item, Result>[] {
    const batch = new Map<string, Waiting<Item, Result>>();
    const left: Waiting<Item, Result>[] = [];
    for (const each of waiting) {
      if (batch.size >= itemsMax || batch.has(each.key)) left.push(each);
      else batch.set(each.key, each);
    }
    waiting = left;
    return [...batch.values()];
  }

  async function run(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await work(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, index) => resolve(results[index] as Result));
    } catch (error) {
      if (batch.length === 1 || !isUndone(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      for (const each of batch) await run([each]);
    }
  }

  function pump(): void {
    while (underWay < batchesMax && waiting.length > 0) {
      underWay += 1;
      void run(take()).finally(() => {
        underWay -= 1;
        pump();
      });
    }
  }

  return async (item) =>
    new Promise<Result>((resolve, reject) => {
      waiting.push({ item, key: keyOf(item), resolve, reject });
      // What the same turn of the event loop adds goes along.
      queueMicrotask(pump);
    });
}
