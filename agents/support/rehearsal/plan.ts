import type { AnsweredCall, Conversation, Json } from './conversation.ts';

/** What the agent does next for one order or one question. */
export type Move =
  | { readonly kind: 'call'; readonly tool: string; readonly input: { readonly [name: string]: Json } }
  | { readonly kind: 'say'; readonly text: string }
  | { readonly kind: 'ask'; readonly question: string };

export function say(text: string): Move {
  return { kind: 'say', text };
}

export function ask(question: string): Move {
  return { kind: 'ask', question };
}

export function call(tool: string, input: { readonly [name: string]: Json }): Move {
  return { kind: 'call', tool, input };
}

/** Finds the result of a read with these arguments; the call may have more of them, such as defaults. */
export function readResult(
  conversation: Conversation,
  tool: string,
  input: { readonly [name: string]: Json },
): AnsweredCall | undefined {
  const wanted = Object.entries(input);
  return conversation.calls.findLast(
    (made) => made.tool === tool && wanted.every(([name, value]) => member(made.input, name) === value),
  );
}

/**
 * Finds what became of a write on an order, whatever its other arguments were: the success if there is one, or else the
 * latest failure that nobody overruled. So no write is made twice for one wish.
 */
export function writeResult(conversation: Conversation, tool: string, orderId: string): AnsweredCall | undefined {
  const made = conversation.calls.filter((each) => each.tool === tool && member(each.input, 'orderId') === orderId);
  return made.findLast((each) => !each.isError) ?? made.findLast((each) => !each.isOverruled);
}

/** Reads a member of a JSON object. */
export function member(value: Json, name: string): Json | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return undefined;
  return (value as { readonly [name: string]: Json })[name];
}

/** Reads a member of a JSON object as words for an answer. */
export function memberText(value: Json, name: string): string {
  const found = member(value, name);
  return typeof found === 'string' ? found : JSON.stringify(found ?? null);
}
