import type { UsageExtractor } from '../../src/domain/model/usage-reading.ts';

type Tree = { [name: string]: Tree | number | string | Tree[] };

/** Writes a reply with counts at the places where a provider's interface has them. Lists get an entry for each name that is asked for. */
export function replyOf({ root, reads }: UsageExtractor, counts: readonly (number | null)[]): Tree {
  const reply: Tree = {};
  let usage = reply;
  for (const name of root) usage = usage[name] = (usage[name] as Tree | undefined) ?? {};
  // One interface is paid by the second too, and the package reads no tokens of it without.
  usage['billable_audio_seconds'] = 1;
  for (const [index, { path }] of reads.entries()) {
    const value = counts[index] ?? null;
    if (value === null) continue;
    let place = usage;
    for (const [depth, step] of path.entries()) {
      if (typeof step !== 'string') continue;
      const next = path[depth + 1];
      if (next === undefined) place[step] = value;
      else if (typeof next === 'string') place = place[step] = (place[step] as Tree | undefined) ?? {};
      else {
        const name = (next.match as { readonly equals: string }).equals;
        const list = (place[step] = (place[step] as Tree[] | undefined) ?? []);
        const entry = list.find((each) => each[next.field] === name) ?? {};
        if (!list.includes(entry)) list.push(Object.assign(entry, { [next.field]: name }));
        place = entry;
      }
    }
  }
  return reply;
}
