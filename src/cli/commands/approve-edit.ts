import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApprovalDecision } from '../../domain/run/message.ts';
import { type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import { EXIT } from '../exit.ts';
import { oneLine } from '../format/units.ts';
import type { OpenRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';

export type DecideOptions = CommonOptions & {
  readonly approve?: boolean;
  readonly reject?: string;
  readonly edit?: string;
  readonly respond?: string;
  readonly as?: string;
  readonly key?: string;
};

type Edit = {
  readonly runId: string;
  readonly tenant: string;
  readonly approvalId?: string;
  readonly argsHash?: string;
  readonly decision: ApprovalDecision;
  readonly options: DecideOptions;
};

/** What became of an edit. Only the tool's schema, on a worker, can tell whether the arguments fit. */
type Became =
  | { readonly result: 'applied' | 'already-applied' }
  | { readonly result: 'refused'; readonly problem: string }
  | { readonly result: 'recorded' };

/** Milliseconds until a worker has looked at edited arguments: it takes some tens, and a person waits. */
const LOOKED_AT_MS = 8_000;

/** Milliseconds between two looks. */
const LOOK_AGAIN_MS = 100;

/** Sends a decision with other arguments and says what became of it: the run takes it before anything has held them against the tool's schema. */
export async function decideByEdit(context: CommandContext, runs: OpenRuns, edit: Edit): Promise<void> {
  const { runId, tenant, decision, options, ...approval } = edit;
  const key = options.key ?? randomUUID();
  const watched = approval.approvalId ?? (await onlyPending(runs, edit));
  const receipt = await runs.client.run(runId, { tenant }).decideApproval({
    decision,
    ...approval,
    key,
    ...(options.as === undefined ? {} : { principal: options.as }),
  });
  const became: Became =
    receipt.result === 'applied' ? await becameOf(runs, runId, watched, key) : resultOf(receipt.result);
  printData(context, options, { runId, ...approval, decision: decision.kind, ...became }, () => became.result);
  const look = spellCommand(`run show ${runId}`);
  if (became.result === 'refused') {
    context.cli.say(`nothing was approved: ${oneLine(became.problem)}`);
    endWith(context, EXIT.conflict);
  }
  if (became.result === 'recorded') {
    context.cli.say(`recorded; whether the arguments fit shows when a worker has looked at them: ${look}`);
  }
}

function resultOf(result: 'already-applied' | 'sent'): Became {
  return { result: result === 'sent' ? 'recorded' : result };
}

/** Looks until the approval's row is decided, or the run says that it has refused the message. */
async function becameOf(
  { client, reader }: OpenRuns,
  runId: string,
  approvalId: string | null,
  key: string,
): Promise<Became> {
  const deadline = Date.now() + LOOKED_AT_MS;
  while (Date.now() < deadline) {
    const [row] = approvalId === null ? [] : await reader.approvals(null, { id: approvalId });
    if (row?.state === 'approved') return { result: 'applied' };
    if (row !== undefined && row.state !== 'pending') return { result: 'refused', problem: `it is ${row.state}` };
    const state = await client
      .run(runId)
      .state()
      .catch(() => null);
    const refused = state?.rejectedMessages.find(({ id }) => id === key);
    if (refused !== undefined) return { result: 'refused', problem: refused.problem };
    await sleep(LOOK_AGAIN_MS);
  }
  return { result: 'recorded' };
}

/** Finds what a run asks where the person named the run: it asks about one call at a time. */
async function onlyPending({ reader }: OpenRuns, { runId, tenant }: Edit): Promise<string | null> {
  const [pending] = await reader.approvals(tenant, { agentRunId: runId, state: 'pending' });
  return pending?.id ?? null;
}
