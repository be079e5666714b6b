import { effectiveModelId } from '../../activities/model/providers.ts';
import type { Agent } from '../../authoring/define-agent.ts';
import { formatUsd, picoFromUsd } from '../../domain/model/price.ts';
import type { CommandContext, CommonOptions } from '../command.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { runLink } from '../find-servers.ts';
import { followToTerminal } from '../follow.ts';
import { formatOutcome, formatUse } from '../format/run.ts';
import { oneLine, plain } from '../format/units.ts';
import type { OpenRuns } from '../open-runs.ts';
import { spellCommand } from '../spell-command.ts';

export type SampleOptions = CommonOptions & {
  /** Whether to leave the run alone when it waits for a person or is blocked. */
  readonly once: boolean;
  /** Ends following. */
  readonly signal: AbortSignal;
};

/** Runs an agent on its sample input, shows what happens, and prints the answer. Gives the exit code of the run. */
export async function runSample(
  context: CommandContext,
  runs: OpenRuns,
  agent: Agent,
  { once, signal, json }: SampleOptions,
): Promise<ExitCode> {
  const { cli } = context;
  const { sampleInput } = agent;
  if (sampleInput === undefined) {
    cli.say(`the agent ${agent.name} has no sampleInput to try it with`);
    return EXIT.ok;
  }
  sayModel(context, agent);
  const handle = await runs.client.start({ agent: agent.name, input: sampleInput });
  cli.say(`${agent.name} is asked: ${oneLine(sampleInput)}`);
  cli.say(`run ${handle.id}`);
  const standstill = new AbortController();
  const end = await followToTerminal(handle, {
    cli,
    reader: runs.reader,
    signal: AbortSignal.any([signal, standstill.signal]),
    onProgress: (progress) => {
      if (once && progress.kind === 'phase' && progress.phase !== 'running') standstill.abort();
    },
  });
  if (end === null) {
    if (!signal.aborted)
      cli.say(`the run stands still; it goes on when ${spellCommand('dev')} runs again and a person has acted`);
    return EXIT.failed;
  }
  const answer = await handle.answer();
  const tenant = await runs.reader.findTenant(handle.id);
  const record = tenant === null ? null : await runs.reader.run(tenant, handle.id);
  const isSimulated = record?.isCostSimulated ?? false;
  const webUi = runLink(runs.temporal, handle.id);
  if (json === true) {
    cli.print(JSON.stringify({ id: handle.id, end, answer, isCostSimulated: isSimulated, webUi }, null, 2));
  } else {
    cli.print(`\n${plain(answer ?? '(no answer)')}\n`);
    cli.print(`${formatOutcome(end.outcome)} · ${formatUse(end, isSimulated)}`);
    if (webUi !== null) cli.print(`Web UI  ${webUi}`);
  }
  return end.outcome.kind === 'completed' ? EXIT.ok : EXIT.failed;
}

/** Names the model before anything is spent. */
function sayModel({ cli }: CommandContext, { models, requirements }: Agent): void {
  const model = effectiveModelId(models.standard.id, cli.env);
  cli.say(
    model.startsWith('rehearsal:')
      ? `model ${model}: a rehearsal that needs no key, its costs are simulated; set OPENAI_API_KEY for a real one`
      : `model ${model}: this run may spend up to ${formatUsd(picoFromUsd(requirements.costPerRunUsd))} USD`,
  );
}
