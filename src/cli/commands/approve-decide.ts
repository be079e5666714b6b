import type { Command } from 'commander';
import type { ApprovalDecision } from '../../domain/run/message.ts';
import type { JsonValue } from '../../domain/json.ts';
import { addCommand, type CommandContext, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';
import { type DecideOptions as Options, decideByEdit } from './approve-edit.ts';

/** What a decision is about: the run, and the approval with the arguments as the list shows them. */
type Target = {
  readonly runId: string;
  readonly tenant: string;
  readonly approvalId?: string;
  readonly argsHash?: string;
};

/** Adds `approve decide`. */
export function addApproveDecide(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'decide',
    summary: 'decide about a call that waits for approval',
    examples: [
      'perdure approve decide 0aB1cD2eF3gH4iJ5kL6mN7 --approve',
      'perdure approve decide 0aB1cD2eF3gH4iJ5kL6mN7 --reject "Ask for a photo first."',
      `perdure approve decide 0aB1cD2eF3gH4iJ5kL6mN7 --edit '{"orderId":"A-1044","amountUsd":120}'`,
    ],
  })
    .argument('<id>', 'id of the approval, or of the run that waits')
    .option('--approve', 'let the call be made, with exactly these arguments')
    .option('--reject <reason>', 'refuse it; the model reads the reason')
    .option('--edit <json>', 'let it be made with these arguments instead')
    .option('--respond <text>', 'do not make it; the model reads this as its result')
    .option('--as <principal>', `who decides (default: ${context.cli.account})`)
    .option('--key <key>', 'key of the message: the same key is applied once (default: random)')
    .action(async (id: string, options: Options) => {
      const decision = readDecision(options);
      await withRuns(context.cli, (runs) => decide(context, runs, id, { decision, options }));
    });
}

async function decide(
  context: CommandContext,
  runs: OpenRuns,
  id: string,
  { decision, options }: { readonly decision: ApprovalDecision; readonly options: Options },
): Promise<void> {
  const { runId, tenant, ...approval } = await findTarget(runs, id);
  if (decision.kind === 'edit') {
    await decideByEdit(context, runs, { runId, tenant, ...approval, decision, options });
    return;
  }
  const { result } = await runs.client.run(runId, { tenant }).decideApproval({
    decision,
    ...approval,
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(options.as === undefined ? {} : { principal: options.as }),
  });
  printData(context, options, { runId, ...approval, decision: decision.kind, result }, () => result);
  if (result === 'sent') context.cli.say('no worker answered; the decision is recorded and holds when one is back');
}

async function findTarget({ reader }: OpenRuns, id: string): Promise<Target> {
  const [approval] = await reader.approvals(null, { id });
  if (approval !== undefined) {
    const { runId, tenant, argsHash, state } = approval;
    if (state === 'pending') return { runId, tenant, approvalId: id, argsHash };
    const by = approval.decidedBy === null ? '' : ` by ${approval.decidedBy}`;
    throw new CommandError(EXIT.conflict, `approval ${id} is ${state}${by} already; nothing was changed`);
  }
  const tenant = await reader.findTenant(id);
  if (tenant !== null) return { runId: id, tenant };
  throw new CommandError(
    EXIT.notFound,
    `there is no approval and no run ${id}; ${spellCommand('approve ls')} lists what waits`,
  );
}

function readDecision({ approve, reject, edit, respond }: Options): ApprovalDecision {
  const decisions: ApprovalDecision[] = [
    ...(approve === true ? [{ kind: 'approve' } as const] : []),
    ...(reject === undefined ? [] : [{ kind: 'reject', reason: reject } as const]),
    ...(edit === undefined ? [] : [{ kind: 'edit', arguments: readJson(edit) } as const]),
    ...(respond === undefined ? [] : [{ kind: 'respond', text: respond } as const]),
  ];
  const [decision, ...others] = decisions;
  if (decision !== undefined && others.length === 0) return decision;
  throw new CommandError(EXIT.usage, 'say one of --approve, --reject <reason>, --edit <json>, --respond <text>');
}

function readJson(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    const message = `--edit must be JSON with the whole arguments: ${(error as Error).message}`;
    throw new CommandError(EXIT.usage, message, { cause: error });
  }
}
