import type { RehearsalView } from '../../../src/authoring/index.ts';
import { readText, type Intent, type Reading } from './read-text.ts';

type Part = RehearsalView['parts'][number];
/** Any JSON value. */
export type Json = Extract<Part, { kind: 'tool-result' }>['output'];

/** A tool call that has its result. */
export type AnsweredCall = {
  readonly tool: string;
  readonly input: Json;
  readonly isError: boolean;
  readonly output: Json;
  /** Set when it failed and a person then said what to do instead. */
  readonly isOverruled: boolean;
};

/** What the conversation is about now: the wish that is open, what is known for it, and what was done for it. */
export type Conversation = {
  readonly wish: Reading;
  readonly calls: readonly AnsweredCall[];
  /** Everything the customer said, for names. */
  readonly told: string;
};

/** Name of the built-in tool that puts a question to the person. */
export const ASK_PERSON = 'askPerson';

const WRITES = new Set(['refundOrder', 'cancelOrder', 'changeShippingAddress']);

type Progress = Conversation & { readonly stage: 'new' | 'working' | 'asked' | 'answered' };

/** Reads a transcript. The latest wish counts; ids and e-mail carry over from one wish to the next. */
export function readConversation(parts: readonly Part[]): Conversation {
  const inputs = new Map<string, Json>();
  let progress: Progress = { wish: readText(''), calls: [], told: '', stage: 'new' };
  for (const part of parts) {
    if (part.kind === 'tool-call') inputs.set(part.toolCallId, part.input);
    progress = afterPart(progress, part, inputs);
  }
  return progress;
}

function afterPart(progress: Progress, part: Part, inputs: ReadonlyMap<string, Json>): Progress {
  switch (part.kind) {
    case 'user-text':
      return hear(progress, part.text);
    case 'guidance':
      // A person or a check speaks in the middle of the work, or about an answer: the wish stays.
      return progress.stage === 'new' ? hear(progress, part.text) : hearAside(progress, part.text);
    case 'assistant-text':
      return { ...progress, stage: part.text.trimEnd().endsWith('?') ? 'asked' : 'answered' };
    case 'tool-call':
      return { ...progress, stage: 'working' };
    case 'tool-result': {
      const { toolName: tool, isError, output } = part;
      const call = { tool, input: inputs.get(part.toolCallId) ?? null, isError, output, isOverruled: false };
      const next: Progress = { ...progress, calls: [...progress.calls, call], stage: 'working' };
      if (tool !== ASK_PERSON || isError) return next;
      // The reads of this wish are still fresh, so they stay.
      return { ...hear({ ...next, stage: 'asked' }, textOf(output)), calls: next.calls, stage: 'working' };
    }
    case 'reasoning':
    case 'summary':
    case 'recalled':
    case 'file':
      return progress;
  }
}

function hear(progress: Progress, text: string): Progress {
  if (progress.stage === 'working') return hearAside(progress, text);
  const reading = readText(text);
  const told = `${progress.told}\n${text}`;
  const isReply = progress.stage === 'asked' && reading.intents.size === 0;
  if (isReply) {
    const wish = {
      ...merge(progress.wish, reading),
      intents: intentsAfterReply(progress.wish.intents, reading.answer),
    };
    // A write is not repeated for the same wish; reads are, because time has passed.
    return { ...progress, wish, told, calls: progress.calls.filter((call) => WRITES.has(call.tool)) };
  }
  const { orderIds, email, name } = merge(progress.wish, reading);
  const isBareOrder = reading.intents.size === 0 && reading.orderIds.length > 0;
  const intents: ReadonlySet<Intent> = isBareOrder ? new Set(['status']) : reading.intents;
  return { ...progress, wish: { ...reading, intents, orderIds, email, name }, told, calls: [] };
}

function hearAside(progress: Progress, text: string): Progress {
  const reading = readText(text);
  const isOrder = reading.intents.size > 0 || reading.amountUsd !== null || reading.address !== null;
  const hasWritten = progress.calls.some((call) => WRITES.has(call.tool) && !call.isError);
  const intents = hasWritten || reading.intents.size === 0 ? progress.wish.intents : reading.intents;
  return {
    ...progress,
    wish: { ...merge(progress.wish, reading), intents },
    told: `${progress.told}\n${text}`,
    calls: progress.calls.map((call) => ({ ...call, isOverruled: call.isOverruled || (call.isError && isOrder) })),
    stage: 'working',
  };
}

function merge(earlier: Reading, later: Reading): Reading {
  return {
    intents: later.intents,
    orderIds: later.orderIds.length > 0 ? later.orderIds : earlier.orderIds,
    email: later.email ?? earlier.email,
    name: later.name ?? earlier.name,
    amountUsd: later.amountUsd ?? earlier.amountUsd,
    address: later.address ?? earlier.address,
    query: later.query ?? earlier.query,
    reason: later.reason ?? earlier.reason,
    answer: later.answer,
  };
}

/** A yes takes the offer that was made: a refund after a complaint, a cancellation before a refund. */
function intentsAfterReply(intents: ReadonlySet<Intent>, answer: 'yes' | 'no' | null): ReadonlySet<Intent> {
  if (answer === 'no') return new Set(['declined']);
  if (answer === null) return intents;
  if (intents.has('complaint')) return new Set(['refund']);
  return intents.has('refund') ? new Set(['refund', 'cancel']) : intents;
}

/** Finds the words in a result: a text, or the member that carries one. */
export function textOf(output: Json): string {
  if (typeof output === 'string') return output;
  if (output === null || typeof output !== 'object' || Array.isArray(output)) return JSON.stringify(output);
  const members = output as { readonly [name: string]: Json };
  const member = ['answer', 'text', 'message', 'reason', 'error'].find((name) => members[name] !== undefined);
  return member === undefined ? JSON.stringify(output) : textOf(members[member] as Json);
}
