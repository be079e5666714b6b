import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import {
  type Attachment,
  InvalidInput,
  type MessageOptions,
  MessageRejected,
  type RunHandle,
  type SendReceipt,
} from '../../client/index.ts';
import type { PendingDecision } from '../../domain/run/views.ts';
import type { RunEnd } from '../../domain/run/run-end.ts';
import type { ApprovalRecord, RunRecord } from '../../domain/schemas/run-records.ts';
import { addCommand, type CommandContext, type CommonOptions, endWith } from '../command.ts';
import { CommandError, EXIT, type ExitCode } from '../exit.ts';
import { findAgent, loadOwnAgents } from '../find-agent.ts';
import { formatBlocked, formatOutcome, formatUse } from '../format/run.ts';
import { formatEntry } from '../format/timeline.ts';
import { formatCount, formatMoment, plain } from '../format/units.ts';
import { createLiveText, type LiveText } from '../live-text.ts';
import { type OpenRuns, withRuns } from '../open-runs.ts';
import { type Lines, readLines } from '../read-lines.ts';
import { spellCommand } from '../spell-command.ts';
import { readAttachment } from '../read-attachment.ts';

type Options = CommonOptions & {
  readonly conversation?: string;
  readonly tenant: string;
  readonly as?: string;
};

/** Milliseconds between two looks at the run's row: a person sees no delay. */
const LOOK_MS = 100;

/** Milliseconds until a run that no worker has taken is spoken of. */
const TAKEN_MS = 5_000;

const COMMANDS = '/approve, /reject reason, /attach file, /stop, /exit';

/** The reason of a stop for which the person gives none. */
const STOPPED = 'stopped in perdure chat';

/** Adds `chat`. */
export function addChat(parent: Command, context: CommandContext): void {
  addCommand(parent, {
    name: 'chat',
    summary: 'talk to an agent, a line at a time',
    examples: [
      'perdure chat support',
      'perdure chat support --conversation letter-17',
      'echo "Where is my order A-1090? I am Liam Murphy." | perdure chat support',
    ],
  })
    .argument('<agent>', 'name of an agent in ./agents')
    .option('--conversation <key>', 'go on with the conversation of this key, or begin it (default: random)')
    .option('--tenant <tenant>', 'tenant of the conversation', 'default')
    .option('--as <principal>', `who speaks (default: ${context.cli.account})`)
    .addHelpText('after', `\nIn the conversation: ${COMMANDS}. All else that begins with / is not sent.`)
    .action(async (agent: string, options: Options) => {
      findAgent(await loadOwnAgents(context.cli), agent);
      await withRuns(context.cli, async (runs) => {
        const lines = readLines(context.cli);
        const chat = new AbortController();
        const live = createLiveText(context.cli);
        const setting = { context: { ...context, cli: live.cli }, live, runs, agent, options, lines };
        try {
          endWith(context, await converse({ ...setting, attached: [], signal: chat.signal }));
        } finally {
          chat.abort();
          lines.close();
        }
      });
    });
}

type Chat = {
  readonly context: CommandContext;
  /** Writes what the agent says while it says it. */
  readonly live: LiveText;
  readonly runs: OpenRuns;
  readonly agent: string;
  readonly options: Options;
  readonly lines: Lines;
  /** Files that go with the next line. */
  readonly attached: Attachment[];
  /** Ends what goes on beside the conversation. */
  readonly signal: AbortSignal;
};

/** A run that is talked to, and how it stood when it was last heard. */
type Talk = {
  readonly handle: RunHandle;
  /** Gives the end, once there is one, and tells of tool calls until then. */
  readonly ended: Promise<RunEnd | null>;
  heard: { readonly phaseAt: number; readonly turns: number; readonly asked: string };
};

/** Why the run stands still: it has answered, it asks something, it has ended, or the person does not want to wait. */
type Standstill =
  | { readonly kind: 'answered' }
  | { readonly kind: 'question'; readonly question: string }
  | { readonly kind: 'approval'; readonly approval: ApprovalRecord }
  | { readonly kind: 'ended'; readonly end: RunEnd | null }
  | { readonly kind: 'called'; readonly line: string };

/** Takes lines until they or the run end. */
async function converse(chat: Chat): Promise<ExitCode> {
  const { context, options, lines, agent } = chat;
  const key = options.conversation ?? randomBytes(8).toString('hex');
  const say = context.cli.say;
  let talk = await findConversation(chat, key);
  let standstill: Standstill = { kind: 'answered' };
  say(`conversation ${key}${talk === null ? '' : ` goes on, run ${talk.handle.id}`} · ${COMMANDS}`);
  // What it waits for is shown first to whoever comes back.
  if (talk !== null) standstill = show(chat, talk, await nextStandstill(chat, talk), await talk.handle.answer());
  for (;;) {
    if (standstill.kind === 'ended') return endOf(chat, talk, standstill.end);
    const line = standstill.kind === 'called' ? standstill.line : await lines.next();
    if (line === null || line === '/exit') {
      const how = standstill.kind === 'called' ? 'it works on without you' : 'it waits';
      const more = `Go on: ${spellCommand(`chat ${agent} --conversation ${key}${tenantWords(options)}`)}`;
      say(talk === null ? 'nothing was said' : `${how}. ${more}`);
      return EXIT.ok;
    }
    if (line.trim() === '') continue;
    const asked: ApprovalRecord | null = standstill.kind === 'approval' ? standstill.approval : null;
    if (line.startsWith('/attach ')) {
      await attach(chat, line.slice('/attach '.length).trim());
      continue;
    }
    const problem = problemOf(line, talk, asked);
    if (problem !== null) {
      say(problem);
      continue;
    }
    if (talk === null) talk = await begin(chat, key, line);
    else if (!(await deliver(chat, key, talk, line, asked))) continue;
    const next: Standstill = await nextStandstill(chat, talk);
    standstill = show(chat, talk, next, next.kind === 'answered' ? await talk.handle.answer() : null);
  }
}

/** A conversation belongs to a tenant: without its name the next command would begin another one. */
function tenantWords({ tenant }: Options): string {
  return tenant === 'default' ? '' : ` --tenant ${tenant}`;
}

/** Reads a file for the next line, and says so, or why not. */
async function attach({ context, attached }: Chat, path: string): Promise<void> {
  try {
    const file = await readAttachment(context.cli, path);
    attached.push(file);
    context.cli.say(`${file.name} goes with the next line (${formatCount(file.data.length, 'byte')})`);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    context.cli.say(`not attached: ${error.message}`);
  }
}

/**
 * Finds the conversation of a key, or null where there is none, or its time is up: the next line then begins a run that knows what was said.
 *
 * @throws CommandError when it was ended.
 */
async function findConversation(chat: Chat, key: string): Promise<Talk | null> {
  const { runs, agent, options } = chat;
  const { tenant } = options;
  const handle = await runs.client.findConversation(key, { agent, tenant });
  const record = handle === null ? null : await runs.reader.run(tenant, handle.id);
  if (handle === null || record === null || record.end?.outcome.kind === 'expired') return null;
  if (record.end !== null) {
    const outcome = formatOutcome(record.end.outcome);
    throw new CommandError(
      EXIT.conflict,
      `the conversation ${key} is over (${outcome}); ${spellCommand(`run show ${handle.id}`)}`,
    );
  }
  const known = await runs.reader.timeline(tenant, handle.id);
  return openTalk(
    chat,
    handle,
    known.map((entry) => entry.id),
    record.turns + 1,
  );
}

async function begin(chat: Chat, key: string, message: string): Promise<Talk> {
  const { runs, agent, options, attached } = chat;
  const { tenant, as } = options;
  const principal = as === undefined ? {} : { principal: as };
  const attachments = attached.splice(0);
  const { agentRunId } = await runs.client.send(key, message, { agent, tenant, attachments, ...principal });
  chat.context.cli.say(`run ${agentRunId}`);
  return openTalk(chat, runs.client.run(agentRunId, { tenant }), [], 1);
}

/** Begins to tell what the run does, and from a turn on what it says. */
function openTalk(chat: Chat, handle: RunHandle, known: readonly string[], turn: number): Talk {
  const { context, options, signal } = chat;
  const follow = async (): Promise<RunEnd | null> => {
    for await (const progress of handle.follow({ signal, pollMs: LOOK_MS })) {
      if (progress.kind === 'ended') return progress.end;
      if (options.json === true || progress.kind !== 'finished' || progress.entry.kind !== 'tool') continue;
      if (!known.includes(progress.entry.id)) context.cli.say(`  ${formatEntry(progress.entry)}`);
    }
    return null;
  };
  const ended = follow();
  // It is awaited wherever the run is waited for; a failure in between must not end the process.
  ended.catch(() => undefined);
  // Without it the answers come whole.
  tellWords(chat, handle, turn).catch(() => undefined);
  return { handle, ended, heard: { phaseAt: 0, turns: 0, asked: '[]' } };
}

async function tellWords({ live, options, signal }: Chat, handle: RunHandle, turn: number): Promise<void> {
  if (options.json === true) return;
  const after = { turn, attempt: 0, sequence: 0 };
  for await (const progress of handle.stream({ signal, after })) live.tell(progress);
}

/** Says why a line cannot be sent now, or null when it can. */
function problemOf(line: string, talk: Talk | null, asked: ApprovalRecord | null): string | null {
  const word = line.split(' ', 1)[0] ?? '';
  if (asked !== null && !line.startsWith('/')) return 'not sent: first say /approve or /reject reason';
  if (!line.startsWith('/')) return null;
  if (!['/approve', '/reject', '/stop'].includes(word)) return `not sent: there are ${COMMANDS}`;
  if (talk === null) return 'nothing was said yet';
  if (word === '/stop') return null;
  if (asked === null) return 'nothing waits for approval';
  return word === '/reject' && line.slice('/reject'.length).trim() === '' ? 'say why: /reject reason' : null;
}

/** Sends a line to the run. Tells the person, and gives false, when the run refuses it. */
async function deliver(
  chat: Chat,
  conversation: string,
  { handle }: Talk,
  line: string,
  asked: ApprovalRecord | null,
): Promise<boolean> {
  const { as } = chat.options;
  const sent = { key: randomBytes(8).toString('hex'), ...(as === undefined ? {} : { principal: as }) };
  try {
    if (asked === null && !line.startsWith('/') && chat.attached.length > 0) {
      await sendWithFiles(chat, conversation, line, sent);
      return true;
    }
    const { result } = await messageOf(handle, line, asked, sent);
    if (result === 'sent') chat.context.cli.say('no worker answered; it is recorded, and holds when one is back');
    return true;
  } catch (error) {
    if (!(error instanceof MessageRejected) && !(error instanceof InvalidInput)) throw error;
    chat.context.cli.say(`refused: ${error.message}`);
    return false;
  }
}

async function sendWithFiles(
  { runs, agent, options, attached }: Chat,
  conversation: string,
  line: string,
  sent: MessageOptions,
): Promise<void> {
  await runs.client.send(conversation, line, { ...sent, agent, tenant: options.tenant, attachments: [...attached] });
  attached.length = 0;
}

function messageOf(
  handle: RunHandle,
  line: string,
  asked: ApprovalRecord | null,
  sent: MessageOptions,
): Promise<SendReceipt> {
  if (line.startsWith('/stop')) return handle.requestStop(line.slice('/stop'.length).trim() || STOPPED, sent);
  if (asked === null) return handle.provideInput(line, sent);
  const { id: approvalId, argsHash } = asked;
  const reason = line.slice('/reject'.length).trim();
  const decision = line.startsWith('/reject') ? ({ kind: 'reject', reason } as const) : ({ kind: 'approve' } as const);
  return handle.decideApproval({ ...sent, decision, approvalId, argsHash });
}

/**
 * Waits until the run stands still anew. Its row may be as old as the last time: a new wait has a later moment and another turn behind it, or
 * asks something else.
 */
async function nextStandstill(chat: Chat, talk: Talk): Promise<Standstill> {
  const { context, runs, options, lines } = chat;
  const { handle, heard } = talk;
  const startedMs = Date.now();
  let told = '';
  let awaited = '';
  for (;;) {
    const line = lines.takeUrgent();
    if (line !== null) return { kind: 'called', line };
    const look = delay(LOOK_MS, 'look' as const);
    const end = await Promise.race([talk.ended, look]);
    if (end !== 'look') return { kind: 'ended', end };
    const record = await runs.reader.run(options.tenant, handle.id);
    const isLate = Date.now() - startedMs > TAKEN_MS;
    const trouble = record === null ? (isLate ? 'no worker has taken it yet; is one running?' : '') : troubleOf(record);
    if (trouble !== told && trouble !== '') context.cli.say(trouble);
    told = trouble;
    if (record === null || record.end !== null) continue;
    if (record.phase !== 'waiting') continue;
    const pending = await handle.pending().catch(() => []);
    if (pending[0]?.kind === 'deferred') {
      // There is nothing to say to it: the result comes from elsewhere.
      if (awaited !== pending[0].token)
        context.cli.say(`it waits for the result of ${pending[0].tool}: ${spellCommand('tool ls')}`);
      awaited = pending[0].token;
      continue;
    }
    const asked = JSON.stringify(pending);
    const isAnswer = pending.length === 0 && record.phaseAt.getTime() !== heard.phaseAt && record.turns > heard.turns;
    if (!isAnswer && (pending.length === 0 || asked === heard.asked)) continue;
    const standstill = await standstillOf(chat, handle, pending);
    if (standstill === null) continue;
    // What it did is told before what it says.
    await delay(2 * LOOK_MS);
    talk.heard = { phaseAt: record.phaseAt.getTime(), turns: record.turns, asked };
    return standstill;
  }
}

/** The row of an approval may come a moment after the run's own word; null until it is there. */
async function standstillOf(
  { runs, options }: Chat,
  handle: RunHandle,
  [first]: readonly PendingDecision[],
): Promise<Standstill | null> {
  if (first === undefined) return { kind: 'answered' };
  if (first.kind === 'question') return first;
  const [approval] = await runs.reader.approvals(options.tenant, { agentRunId: handle.id, state: 'pending' });
  return approval === undefined ? null : { kind: 'approval', approval };
}

function troubleOf({ id, phase, blocked }: RunRecord): string {
  if (blocked !== null) return formatBlocked(id, blocked);
  if (phase === 'blocked') return `it stands still: ${spellCommand(`run show ${id}`)}`;
  return phase === 'paused' ? `it is paused: ${spellCommand(`run resume ${id}`)}` : '';
}

/** Prints what the agent said on stdout, and what the person is asked. */
function show(
  { context, live, options }: Chat,
  { heard }: Talk,
  standstill: Standstill,
  answer: string | null,
): Standstill {
  const { cli } = context;
  if (options.json === true) {
    if (standstill.kind !== 'called')
      cli.print(JSON.stringify({ ...standstill, ...(answer === null ? {} : { answer }) }));
    return standstill;
  }
  if (answer !== null) live.settle(answer, heard.turns);
  if (standstill.kind === 'question') cli.print(plain(standstill.question));
  if (standstill.kind === 'approval') {
    const { tool, rule, deadlineAt, args } = standstill.approval;
    cli.say(`${tool} waits for approval (${rule}), until ${formatMoment(deadlineAt)}`);
    cli.say(`  ${plain(JSON.stringify(args))}`);
    cli.say('  /approve or /reject reason');
  }
  return standstill;
}

async function endOf({ context, options, runs }: Chat, talk: Talk | null, end: RunEnd | null): Promise<ExitCode> {
  if (end === null || talk === null) return EXIT.failed;
  const record = await runs.reader.run(options.tenant, talk.handle.id);
  if (options.json !== true) {
    context.cli.say(`${formatOutcome(end.outcome)} · ${formatUse(end, record?.isCostSimulated ?? false)}`);
  }
  return ['completed', 'cancelled'].includes(end.outcome.kind) ? EXIT.ok : EXIT.failed;
}
