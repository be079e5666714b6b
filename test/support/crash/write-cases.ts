import { setTimeout as sleep } from 'node:timers/promises';
import type { EffectState } from '../../../src/stores/database.ts';
import type { DestinationKind, Treatment } from './destination.ts';
import type { Group, Handle, Lab } from './lab.ts';
import { until } from './until.ts';
import type { WorkerProcess } from './worker-process.ts';

/** The kinds of destinations that a write is tried against, each with its tool. */
export const KINDS = [
  { kind: 'keyed', tool: 'payKeyed' },
  { kind: 'reconcilable', tool: 'payReconcilable' },
  { kind: 'uncertain', tool: 'payUncertain' },
  { kind: 'blind', tool: 'payBlind' },
] as const satisfies readonly { readonly kind: DestinationKind; readonly tool: string }[];

/** What became of one write: `applied/arrivals state`, by the destination's ledger and ours. */
export type Cell = string;

/** One write to each kind of destination, all met by the same trouble. */
export type Row = {
  readonly trouble: string;
  readonly cells: readonly Cell[];
  /** How the runs ended, after a person settled what was unknown. */
  readonly ends: readonly string[];
  /** Attempts of each write, as the ledger closed them. */
  readonly attempts: readonly (readonly (string | null)[])[];
};

export type Case = { readonly name: string; readonly handle: Handle };

/**
 * Starts one run for each kind, at once. Each reads first unless told otherwise, so that the worker has an open connection to the destination: a write can
 * then leave in the very moment in which it is asked for.
 */
export async function startCases(
  lab: Pick<Lab, 'destination'>,
  group: Group,
  row: string,
  { treatment, firstTurn = 'read' }: { readonly treatment?: Treatment; readonly firstTurn?: 'read' | 'write' } = {},
): Promise<Case[]> {
  return Promise.all(
    KINDS.map(async ({ kind, tool }) => {
      const name = `${row.replaceAll(/\W+/g, '-')}-${kind}`;
      lab.destination.expect(name, kind, ...(treatment === undefined ? [] : [treatment]));
      const read = [{ tool: 'lookUp', input: { case: name, ms: 50 } }];
      const write = [{ tool, input: { case: name, amount: 42 } }];
      const handle = await group.start({ turns: firstTurn === 'read' ? [read, write] : [write] });
      return { name, handle };
    }),
  );
}

/** Waits until every write is known or known to be unknown, wakes whoever sleeps, and reads what became of it all. */
export async function finishRow(
  lab: Lab,
  trouble: string,
  cases: readonly Case[],
  sleeper?: WorkerProcess,
): Promise<Row> {
  await Promise.all(cases.map((each) => settled(lab, each)));
  if (sleeper !== undefined) {
    sleeper.wake();
    // It has everything at hand that it needs to do harm: whatever it does, it does at once.
    await sleep(1_500);
  }
  await until('nothing is on its way', () => cases.every(({ name }) => !lab.destination.isBusyWith(name)));
  const cells = await Promise.all(cases.map((each) => cellOf(lab, each)));
  const attempts = await Promise.all(cases.map(({ handle }) => lab.effectAttemptsOf(handle.workflowId)));
  const ends = await Promise.all(cases.map((each) => mend(lab, each)));
  return { trouble, cells, ends, attempts };
}

/** A write is settled when its run has ended, or when the ledger says that a person must look. */
async function settled(lab: Lab, { name, handle }: Case): Promise<void> {
  let state: EffectState | undefined;
  await until(`the write ${name} is settled`, async () => {
    state = (await lab.effectOf(handle.workflowId))?.state;
    return state !== undefined && state !== 'intended';
  });
  if (state === 'succeeded') await handle.result();
}

async function cellOf(lab: Lab, { name, handle }: Case): Promise<Cell> {
  const { applied, arrivals } = lab.destination.of(name);
  const effect = await lab.effectOf(handle.workflowId);
  return `${applied}/${arrivals} ${effect?.state}`;
}

/** Does a person's part: looks at the destination, settles what is unknown, and lets the run go on. */
async function mend(lab: Lab, { name, handle }: Case): Promise<string> {
  const { workflowId } = handle;
  const isRunning = async (): Promise<boolean> => (await handle.describe()).status.name === 'RUNNING';
  // The ledger knows a moment before the run does; a person is shown what the run says.
  await until(`the run of ${name} asks`, async () => !(await isRunning()) || (await lab.asksAbout(handle)) !== null);
  if (await isRunning()) {
    const { applied } = lab.destination.of(name);
    const effect = await lab.effectOf(workflowId);
    if (effect?.state === 'unknown') await lab.resolveEffect(workflowId, applied > 0 ? 'succeeded' : 'failed');
    await lab.retry(workflowId);
  }
  return (await handle.result()).outcome.kind;
}
