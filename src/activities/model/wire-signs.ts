/** The signs of one protocol. It hears the events of every protocol, and knows its own. At the end it is told the texts that were read. */
export type WireSigns = {
  readonly note: (event: unknown) => void;
  readonly isWhole: (said: readonly string[]) => boolean;
};

/** JSON of a provider, of which nothing is known. */
type Fields = { readonly [name: string]: unknown };

/** Kinds of items that are words and calls of the model's. */
const SAID: readonly unknown[] = ['message', 'function_call'];

/** Events that end a response. */
const ENDS: readonly unknown[] = ['response.completed', 'response.incomplete'];

/** Why a response is not complete and has an end all the same. Without such a reason it was broken off. */
const INCOMPLETE: readonly unknown[] = ['max_output_tokens', 'content_filter'];

/**
 * OpenAI's responses: each item repeats at its end the words that came one by one, and the end of the response repeats the items, and says whether it is
 * complete. Where the words came with their item alone, they must have been read.
 */
export function watchResponse(): WireSigns {
  const words = new Map<unknown, string>();
  const texts: string[] = [];
  const unheard: string[] = [];
  let isRepeated = true;
  let items = 0;
  let isWhole = true;
  const note = (event: Fields): void => {
    if (isBrokenOff(event)) isWhole = false;
    switch (event['type']) {
      case 'response.output_text.delta':
        words.set(event['output_index'], `${words.get(event['output_index']) ?? ''}${String(event['delta'])}`);
        return;
      case 'response.output_item.done': {
        const item = fieldsOf(event['item']);
        if (SAID.includes(item['type'])) items += 1;
        const text = textOf(item);
        if (text === null) {
          isRepeated &&= item['type'] !== 'message';
          return;
        }
        texts.push(text);
        const came = words.get(event['output_index']);
        if (came === undefined) unheard.push(text);
        else if (text !== came) isWhole = false;
        return;
      }
      case 'response.completed': {
        // Some servers leave the list empty.
        const output = listOf(fieldsOf(event['response'])['output']);
        if (output.length > 0 && output.filter(({ type }) => SAID.includes(type)).length !== items) isWhole = false;
      }
    }
  };
  return {
    note: (event) => note(fieldsOf(event)),
    isWhole: (said) =>
      isWhole &&
      unheard.every((text) => text === '' || said.includes(text)) &&
      // Words that were read twice, or not at all.
      (!isRepeated || texts.length === 0 || texts.join('').length === said.join('').length),
  };
}

/** Tells whether a response, at its end or as one body, says that it is not complete. */
function isBrokenOff(event: Fields): boolean {
  const isEnd = ENDS.includes(event['type']);
  if (!isEnd && event['object'] !== 'response') return false;
  const { status, incomplete_details: details } = isEnd ? fieldsOf(event['response']) : event;
  const isComplete = event['type'] !== 'response.incomplete' && (status ?? 'completed') === 'completed';
  return !isComplete && !INCOMPLETE.includes(fieldsOf(details)['reason']);
}

/** Anthropic: a block of words begins without any. Those that one begins with are not read. */
export function watchMessages(): WireSigns {
  let isWhole = true;
  return {
    note: (event) => {
      const { type, content_block: begun } = fieldsOf(event);
      const { type: kind, text } = fieldsOf(begun);
      if (type === 'content_block_start' && kind === 'text' && isWord(text)) isWhole = false;
    },
    isWhole: () => isWhole,
  };
}

/** Null for what is no message, or does not repeat its words. */
function textOf({ type, content }: Fields): string | null {
  const pieces = listOf(content).filter((piece) => piece['type'] === 'output_text');
  return type !== 'message' || pieces.length === 0 ? null : pieces.map(({ text }) => String(text)).join('');
}

/**
 * Chat completions: a reply has one end, and no call comes twice under its own id. Servers that write an end into every chunk say nothing in a
 * chunk without one.
 */
export function watchChat(): WireSigns {
  const calls = new Set<string>();
  let hasEnded = false;
  let isWhole = true;
  return {
    note: (event) => {
      const [choice] = listOf(fieldsOf(event)['choices']);
      if (choice === undefined) return;
      const delta = fieldsOf(choice['delta']);
      const called = listOf(delta['tool_calls']);
      const isEnd = isWord(choice['finish_reason']);
      if (hasEnded && !isEnd && (isSaid(delta['content']) || called.length > 0)) isWhole = false;
      hasEnded ||= isEnd;
      for (const call of called.filter(isWholeCall)) {
        const key = JSON.stringify(call);
        if (calls.has(key)) isWhole = false;
        calls.add(key);
      }
    },
    isWhole: () => isWhole,
  };
}

/** A call with its id and all of its arguments in one event. Pieces of arguments may well be the same. */
function isWholeCall({ id, function: called }: Fields): boolean {
  const given = fieldsOf(called)['arguments'];
  return isWord(id) && typeof given === 'string' && /^\s*\{[^]*\}\s*$/.test(given);
}

/** Google: after its end a reply says nothing more, unless it goes on with another part of itself. */
export function watchGoogle(): WireSigns {
  let hasEnded = false;
  let isWhole = true;
  return {
    note: (event) => {
      const [candidate] = listOf(fieldsOf(event)['candidates']);
      if (candidate === undefined) return;
      const isEnd = isWord(candidate['finishReason']);
      const parts = listOf(fieldsOf(candidate['content'])['parts']);
      const isSaying = parts.some((part) => isWord(part['text']) || 'functionCall' in part);
      if (hasEnded && !isEnd && isSaying) isWhole = false;
      hasEnded = (hasEnded || isEnd) && candidate['finishReason'] !== 'CONTINUATION';
    },
    isWhole: () => isWhole,
  };
}

/** Some servers write words as a list of pieces. */
function isSaid(content: unknown): boolean {
  return isWord(content) || listOf(content).length > 0;
}

function isWord(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}
