import type { RunHandle, RunProgress, StreamProgress } from '../client/index.ts';
import type { Cli } from './cli.ts';
import type { CommandContext, CommonOptions } from './command.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { runLink } from './find-servers.ts';
import { followToTerminal } from './follow.ts';
import { formatOutcome, formatUse } from './format/run.ts';
import { formatNextSteps } from './format/next-steps.ts';
import { createLiveText } from './live-text.ts';
import { spellCommand } from './spell-command.ts';
import type { OpenRuns } from './open-runs.ts';

/**
 * Follows a run to its end and prints the answer on stdout; everything else is for the person and goes to stderr. A terminal shows what the
 * run says while it says it. With `--json` every piece of progress and of what is said is a line of JSON.
 *
 * @returns the exit code: a run that did not complete has failed.
 */
export async function followToEnd(
  { cli }: CommandContext,
  { reader, temporal }: OpenRuns,
  handle: RunHandle,
  { json }: CommonOptions,
): Promise<ExitCode> {
  const isJson = json === true;
  const interrupt = listenForCtrlC();
  const { signal } = interrupt;
  const live = createLiveText(cli);
  const words =
    isJson || cli.write !== undefined ? tellWords(handle, signal, isJson ? printJson(cli) : live.tell) : null;
  const end = await followToTerminal(handle, {
    cli: isJson ? { ...cli, say: () => undefined } : live.cli,
    reader,
    signal,
    ...(isJson ? { onProgress: (progress) => progress.kind !== 'ended' && printJson(cli)(progress) } : {}),
    ...(words === null ? {} : { hasSpoken: live.hasSpoken }),
  });
  await words;
  interrupt.forget();
  if (end === null) {
    live.cli.say(`you look no longer; the run goes on. Look again: ${spellCommand(`run tail ${handle.id}`)}`);
    return EXIT.failed;
  }
  // After the last word.
  if (isJson) printJson(cli)({ kind: 'ended', end });
  const tenant = await reader.findTenant(handle.id);
  const answer = tenant === null ? null : await reader.answer(tenant, handle.id);
  const record = tenant === null ? null : await reader.run(tenant, handle.id);
  const webUi = runLink(temporal, handle.id);
  if (isJson) {
    cli.print(JSON.stringify({ kind: 'answer', id: handle.id, answer, webUi }));
  } else {
    if (answer !== null) live.settle(answer, end.turns);
    cli.say(`${formatOutcome(end.outcome)} · ${formatUse(end, record?.isCostSimulated ?? false)}`);
    if (record !== null) for (const step of formatNextSteps({ ...record, end })) cli.say(step);
    if (webUi !== null) cli.say(`Web UI  ${webUi}`);
  }
  return end.outcome.kind === 'completed' ? EXIT.ok : EXIT.failed;
}

function printJson({ print }: Cli): (progress: RunProgress | StreamProgress) => void {
  return (progress) => print(JSON.stringify(progress));
}

/** Whatever becomes of the words, the run's end and its answer are told. */
async function tellWords(
  handle: RunHandle,
  signal: AbortSignal,
  tell: (progress: StreamProgress) => void,
): Promise<void> {
  try {
    for await (const progress of handle.stream({ signal })) tell(progress);
  } catch {
    // What follows the run says what is wrong.
  }
}

/** Hears the first Ctrl-C, which ends the looking and not the run; the second one ends the process at once. */
function listenForCtrlC(): { readonly signal: AbortSignal; readonly forget: () => void } {
  const controller = new AbortController();
  const onSignal = (): void => controller.abort();
  process.once('SIGINT', onSignal);
  return { signal: controller.signal, forget: () => void process.off('SIGINT', onSignal) };
}
