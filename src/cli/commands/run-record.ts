import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { keepCalls } from '../../activities/recorded/keep-calls.ts';
import type { RecordingLine } from '../../activities/recorded/recording.ts';
import type { Release } from '../../domain/release/release.ts';
import { readRecordingMasks } from '../../runtime/recordings.ts';
import { readKeptCalls } from '../../stores/kept-calls.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { addRunArgument, findRunTenant } from '../find-run.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';

type Options = CommonOptions & { readonly output: string };

const ID = '0aB1cD2eF3gH4iJ5kL6mN7';

/** Adds `run record`. */
export function addRunRecord(parent: Command, context: CommandContext): void {
  const command = addCommand(parent, {
    name: 'record',
    summary: 'write what the models of a run replied into a recording that tests can play',
    examples: [`perdure run record ${ID} -o test/recordings/incident.jsonl`],
  });
  addRunArgument(command)
    .requiredOption('-o, --output <file>', 'file to write; one that is there is not written over')
    .action(async (id: string, options: Options) => {
      const masks = readRecordingMasks(context.cli.env);
      const lines = await withRuns(context.cli, (runs) => linesOf(runs, id, masks));
      const file = resolve(context.cli.cwd, options.output);
      write(file, lines);
      const calls = lines.length - 1;
      printData(
        context,
        options,
        { file, run: id, calls },
        () => `${file}: ${calls} ${calls === 1 ? 'call' : 'calls'} of run ${id}`,
      );
    });
}

async function linesOf(
  runs: OpenRuns,
  id: string,
  masks: Readonly<Record<string, RegExp>>,
): Promise<readonly RecordingLine[]> {
  const tenant = await findRunTenant(runs, id);
  const calls = tenant === null ? [] : await readKeptCalls(runs.stores, tenant, id);
  const releases = new Map<string, Release>();
  for (const { release } of calls) releases.set(release, await runs.stores.releases.get(release));
  try {
    return keepCalls(id, calls, releases, masks);
  } catch (error) {
    if (error instanceof TypeError) throw new CommandError(EXIT.failed, error.message, { cause: error });
    throw error;
  }
}

function write(file: string, lines: readonly RecordingLine[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    const { code } = error as { readonly code?: string };
    const why = code === 'EEXIST' ? 'is there already; delete it, or name another file' : `cannot be written (${code})`;
    throw new CommandError(code === 'EEXIST' ? EXIT.conflict : EXIT.failed, `${file} ${why}`, { cause: error });
  }
}
