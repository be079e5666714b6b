import type { Command } from 'commander';
import { addCommand, type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import type { Finding } from '../doctor/finding.ts';
import { EXIT } from '../exit.ts';
import { formatCount, oneLine } from '../format/units.ts';

/** Adds `doctor`. */
export function addDoctor(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'doctor',
    summary: 'look at machine, servers, schema, agents and models, and say what to mend',
    examples: ['perdure doctor', 'perdure doctor --json'],
  }).action(async (options: CommonOptions) => {
    // It loads the worker's native library, to see whether that works; other commands do without.
    const { examine } = await import('../doctor/examine.ts');
    const findings = await examine(context.cli);
    printData(context, options, findings, () => findings.map(formatFinding).join('\n'));
    const failures = findings.filter(({ status }) => status === 'fail').length;
    const warnings = findings.filter(({ status }) => status === 'warn').length;
    context.cli.say(`${formatCount(failures, 'failure')}, ${formatCount(warnings, 'warning')}`);
    if (failures > 0) endWith(context, EXIT.failed);
  });
}

function formatFinding({ status, subject, message, mend }: Finding): string {
  const line = `${status.padEnd(4)}  ${subject.padEnd(17)}  ${oneLine(message)}`;
  return mend === null ? line : `${line}\n${' '.repeat(25)}→ ${oneLine(mend)}`;
}
