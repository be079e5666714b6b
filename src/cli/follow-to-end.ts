import type { RunHandle } from '../client/index.ts';
import type { CommandContext, CommonOptions } from './command.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { runLink } from './find-servers.ts';
import { followToTerminal } from './follow.ts';
import { formatOutcome, formatUse } from './format/run.ts';
import { plain } from './format/units.ts';
import type { OpenRuns } from './open-runs.ts';

/**
 * Follows a run to its end and prints the answer on stdout; everything else is for the person and goes to stderr. With `--json` every
 * piece of progress is a line of JSON.
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
  const end = await followToTerminal(handle, {
    cli: isJson ? { ...cli, say: () => undefined } : cli,
    reader,
    ...(isJson ? { onProgress: (progress) => cli.print(JSON.stringify(progress)) } : {}),
  });
  if (end === null) return EXIT.failed;
  const tenant = await reader.findTenant(handle.id);
  const answer = tenant === null ? null : await reader.answer(tenant, handle.id);
  const record = tenant === null ? null : await reader.run(tenant, handle.id);
  const webUi = runLink(temporal, handle.id);
  if (isJson) {
    cli.print(JSON.stringify({ kind: 'answer', id: handle.id, answer, webUi }));
  } else {
    if (answer !== null) cli.print(plain(answer));
    cli.say(`${formatOutcome(end.outcome)} · ${formatUse(end, record?.isCostSimulated ?? false)}`);
    if (webUi !== null) cli.say(`Web UI  ${webUi}`);
  }
  return end.outcome.kind === 'completed' ? EXIT.ok : EXIT.failed;
}
