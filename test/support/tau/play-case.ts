import assert from 'node:assert/strict';
import type { PerdureClient } from '../../../src/client/create-client.ts';
import type { RunReader } from '../../../src/client/run-reader.ts';
import { type TauCase, tauTools } from './cases.ts';
import type { LedgerEntry, TauServers, Wire } from './servers.ts';
import { type Faults, tenantOf } from './tau-agent.ts';

export type Stage = {
  readonly client: PerdureClient;
  readonly reader: RunReader;
  readonly servers: TauServers;
  readonly agentOf: (domain: string, wire: Wire) => string;
};

/** Runs a case to its end and gives what its tools received. */
export async function playCase(
  stage: Stage,
  each: TauCase,
  wire: Wire,
  faults: Faults = {},
  label: string = wire,
): Promise<{ readonly ledger: readonly LedgerEntry[]; readonly answer: string; readonly runId: string }> {
  const { domain } = each;
  const tenant = tenantOf(each, label, faults);
  const input = `[case ${each.id}] ${each.user}`;
  const run = await stage.client.start({ agent: stage.agentOf(domain, wire), input, tenant, startKey: tenant });
  const end = await run.result();
  const where = `${each.id} on ${wire}`;
  assert.deepEqual(end.outcome, { kind: 'completed' }, where);
  const answer = (await stage.reader.answer(tenant, run.id)) ?? '';
  for (const words of each.final_must_contain ?? [])
    assert.ok(answer.includes(words), `${where}: no ${words} in ${answer}`);
  return { ledger: await stage.servers.ledgerOf(domain, tenant), answer, runId: run.id };
}

/** Gives the calls of a case that reach its tools: a tool that is not offered is told to the model, and not called. */
export function goldCalls(each: TauCase): readonly Pick<LedgerEntry, 'name' | 'arguments'>[] {
  const offered = new Set(tauTools(each.domain).map(({ name }) => name));
  return each.actions
    .filter(({ name }) => offered.has(name))
    .map(({ name, arguments: given }) => ({ name, arguments: given }));
}

/** Checks that the calls of a case were made once, in their order, with their arguments, and that each ran. */
export function assertMadeOnce(each: TauCase, wire: Wire, ledger: readonly LedgerEntry[]): void {
  const where = `${each.id} on ${wire}`;
  const made = ledger.map(({ name, arguments: given }) => ({ name, arguments: given }));
  assert.deepEqual(made, goldCalls(each), where);
  assert.ok(
    ledger.every(({ ran, known }) => ran && known),
    where,
  );
}

/**
 * Checks the same where calls were repeated: what changes something ran once, in its order; what only reads was asked for at least as often
 * as it should be, and for nothing else.
 */
export function assertWrittenOnce(each: TauCase, wire: Wire, ledger: readonly LedgerEntry[]): void {
  const where = `${each.id} on ${wire}: ${ledger.map(({ name, ran }) => `${name} ${ran}`).join(', ')}`;
  const gold = goldCalls(each);
  const writes = new Set(each.actions.filter(({ mutates }) => mutates === true).map(callKey));
  const written = ledger.filter((call) => call.ran && writes.has(callKey(call)));
  assert.deepEqual(
    written.map(callKey),
    gold.map(callKey).filter((key) => writes.has(key)),
    where,
  );
  assert.deepEqual(new Set(ledger.map(callKey)), new Set(gold.map(callKey)), where);
  for (const key of new Set(gold.map(callKey))) {
    const asked = ledger.filter((call) => callKey(call) === key).length;
    assert.ok(asked >= gold.filter((call) => callKey(call) === key).length, where);
  }
}

function callKey({ name, arguments: given }: Pick<LedgerEntry, 'name' | 'arguments'>): string {
  const members = Object.entries(given).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${name} ${JSON.stringify(members)}`;
}

/** Does work for all of a list, so many at a time. */
export async function inParallel<Item>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
