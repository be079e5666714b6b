import { type Command, Option } from 'commander';
import { toolCallId } from '../../activities/tool/tool-call-id.ts';
import { MessageRejected, RunNotFound } from '../../client/index.ts';
import type { EffectRecord } from '../../domain/schemas/run-records.ts';
import { textProblem } from '../../domain/text-problem.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';

type Options = CommonOptions & {
  readonly as: 'succeeded' | 'failed';
  readonly reason: string;
  readonly by?: string;
};

/** Adds `effect resolve`. */
export function addEffectResolve(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'resolve',
    summary: 'say whether an effect that nobody knows of happened; its run then goes on',
    examples: [
      'perdure effect resolve 0aB1cD2eF3gH4iJ5kL6mN7 --as succeeded --reason "Refund R-5003 is in the ledger."',
    ],
  })
    .argument('<key>', `key of the effect, from ${spellCommand('effect ls --state unknown')}`)
    .addOption(
      new Option('--as <outcome>', 'what you found at the destination')
        .choices(['succeeded', 'failed'])
        .makeOptionMandatory(),
    )
    .requiredOption('--reason <text>', 'how you know; the model reads it, and the audit keeps it')
    .option('--by <principal>', `who looked (default: ${context.cli.account})`)
    .action(async (key: string, options: Options) => {
      const problem = textProblem('--reason', options.reason);
      if (problem !== null) throw new CommandError(EXIT.usage, problem);
      await withRuns(context.cli, (runs) => resolve(context, runs, key, options));
    });
}

async function resolve(context: CommandContext, runs: OpenRuns, key: string, options: Options): Promise<void> {
  const [effect] = await runs.reader.effects(null, { key });
  if (effect === undefined) {
    throw new CommandError(
      EXIT.notFound,
      `there is no effect ${key}; ${spellCommand('effect ls --state unknown')} lists the open ones`,
    );
  }
  const principal = options.by ?? context.cli.account;
  // One that a run left when it ended may still be intended; the ledger says whether it can be settled yet.
  if (effect.state !== 'unknown' && effect.state !== 'intended') throw await notUnknown(runs, effect, principal);
  const ref = await writeFinding(runs, effect, options);
  const resolved = await runs.stores.effects.resolve(effect.tenant, key, {
    state: options.as,
    ref,
    principal,
    reason: options.reason,
  });
  if (resolved.kind === 'not-unknown') throw await notUnknown(runs, { ...effect, state: resolved.state }, principal);
  const run = await tellRun(runs, effect, principal);
  printData(context, options, { key, state: options.as, runId: effect.runId, run }, () => options.as);
  context.cli.say(
    run === 'ended' ? `run ${effect.runId} has ended; the ledger is right now` : `run ${effect.runId} goes on`,
  );
}

/** A late reply may have settled the effect while its run is still blocked on it: the run is told to look again, whoever knew first. */
async function notUnknown(runs: OpenRuns, effect: EffectRecord, principal: string): Promise<CommandError> {
  const { key, runId, state } = effect;
  const start = `effect ${key} is ${state}, not unknown; nothing was changed in the ledger`;
  if (state !== 'succeeded' && state !== 'failed') return new CommandError(EXIT.conflict, start);
  const run = await tellRun(runs, effect, principal);
  const end = run === 'ended' ? `run ${runId} has ended` : `run ${runId} was told, and goes on if it waited for it`;
  return new CommandError(EXIT.conflict, `${start}; ${end}`);
}

/** Writes what the model will read as the call's result. */
async function writeFinding({ stores }: OpenRuns, effect: EffectRecord, { as, reason }: Options): Promise<string> {
  const { scope } = await stores.runs.factsOf(effect.tenant, effect.runId);
  return stores.transcripts.writePart(effect.tenant, scope, {
    kind: 'tool-result',
    toolCallId: toolCallId(effect.turn, effect.callIndex),
    toolName: effect.tool.split('@')[0] ?? effect.tool,
    isError: as === 'failed',
    output: `A person looked at what became of this call: it ${as === 'succeeded' ? 'succeeded' : 'did not happen'}. ${reason}`,
  });
}

/** The row is written whatever the run says: a run that has ended needs no word. */
async function tellRun({ client }: OpenRuns, effect: EffectRecord, principal: string): Promise<string> {
  try {
    const { result } = await client.run(effect.runId, { tenant: effect.tenant }).retry({ principal });
    return result;
  } catch (error) {
    if (error instanceof MessageRejected || error instanceof RunNotFound) return 'ended';
    throw error;
  }
}
