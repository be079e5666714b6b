import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { cacheShareOf } from '../../domain/run/cache-share.ts';
import type { RunState } from '../../domain/run/views.ts';
import { addCommand, type CommandContext, type CommonOptions, printData } from '../command.ts';
import { addRunArgument, findRunTenant } from '../find-run.ts';
import { runLink } from '../find-servers.ts';
import { formatRun, type RunView } from '../format/run.ts';
import { formatAudit, formatPart } from '../format/transcript.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { readMeans } from '../run-means.ts';
import { showReceipt } from './run-receipt.ts';

/** Adds `run show`. */
export function addRunShow(parent: Command, context: CommandContext): void {
  const command = addCommand(parent, {
    name: 'show',
    summary: 'show a run: what it did, what that cost, what it waits for, what it answered',
    examples: ['perdure run show 0aB1cD2eF3gH4iJ5kL6mN7', 'perdure run show 0aB1cD2eF3gH4iJ5kL6mN7 --transcript'],
  });
  addRunArgument(command)
    .option('--transcript', 'also show what was said, as the model reads it')
    .option('--whole', 'also show what was said, with the turns that summaries stand for')
    .option('--audit', 'also show who did what')
    .option('--receipt', 'show instead what every attempt cost, and whether it adds up')
    .action(async (id: string, options: ShowOptions) => {
      const shown = options.receipt === true ? showReceipt : show;
      await withRuns(context.cli, (runs) => shown(context, runs, id, options));
    });
}

type ShowOptions = CommonOptions & {
  readonly transcript?: boolean;
  readonly whole?: boolean;
  readonly audit?: boolean;
  readonly receipt?: boolean;
};

/** Milliseconds for the run's own word: a run without a worker must be shown too. */
const STATE_MS = 1_000;

async function stateOf({ client }: OpenRuns, id: string): Promise<RunState | null> {
  return orNothing(client.run(id).state());
}

async function openQuestion({ client }: OpenRuns, id: string): Promise<string | null> {
  const pending = (await orNothing(client.run(id).pending())) ?? [];
  return pending.flatMap((each) => (each.kind === 'question' ? [each.question] : []))[0] ?? null;
}

async function orNothing<Answer>(answer: Promise<Answer>): Promise<Answer | null> {
  return Promise.race([answer.catch(() => null), delay(STATE_MS, null, { ref: false })]);
}

async function readTranscript(
  { reader }: OpenRuns,
  tenant: string,
  id: string,
  { transcript, whole }: ShowOptions,
): Promise<readonly MessagePart[] | null> {
  if (whole === true) return reader.wholeTranscript(tenant, id);
  return transcript === true ? reader.transcript(tenant, id) : null;
}

async function show(context: CommandContext, runs: OpenRuns, id: string, options: ShowOptions): Promise<void> {
  const { reader } = runs;
  const webUi = runLink(runs.temporal, id);
  const tenant = await findRunTenant(runs, id);
  const run = tenant === null ? null : await reader.run(tenant, id);
  if (tenant === null || run === null) {
    const standing = 'not admitted: no worker has taken it yet, or it was refused';
    printData(context, options, { id, standing, webUi }, () =>
      [`run ${id} · ${standing}`, webUi ?? ''].join('\n').trim(),
    );
    return;
  }
  const state = run.end === null ? await stateOf(runs, id) : null;
  const timeline = await reader.timeline(tenant, id);
  const view: RunView = {
    run,
    timeline,
    answer: await reader.answer(tenant, id),
    approvals: await reader.approvals(tenant, { agentRunId: id }),
    effects: await reader.effects(tenant, { agentRunId: id }),
    deferred: await reader.deferredCalls(tenant, { agentRunId: id }),
    rejected: state?.rejectedMessages ?? null,
    // A worker of a build before rate limits says nothing of them.
    throttle: state?.throttle ?? null,
    question: run.phase === 'waiting' ? await openQuestion(runs, id) : null,
    means: await readMeans(runs, run, timeline),
    webUi,
  };
  const transcript = await readTranscript(runs, tenant, id, options);
  const audit = options.audit === true ? await reader.audit(tenant, id) : null;
  const extras = { ...(transcript === null ? {} : { transcript }), ...(audit === null ? {} : { audit }) };
  const { means, ...rest } = view;
  printData(context, options, { ...rest, ...means, cache: cacheShareOf(timeline), ...extras }, () =>
    [
      formatRun(view),
      ...(transcript === null ? [] : [`Transcript\n${transcript.map(formatPart).join('\n')}`]),
      ...(audit === null ? [] : [`Audit\n${audit.map(formatAudit).join('\n')}`]),
    ].join('\n\n'),
  );
}
