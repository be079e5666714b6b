import { createHash } from 'node:crypto';
import type { MessagePart } from '../../domain/model/message-part.ts';
import type { Wire } from '../../domain/model/wire.ts';
import type { ToolContract } from '../../domain/tool/contract.ts';

/** What goes out in a provider's own spelling, and how names come back. */
export type WireNames = {
  readonly parts: readonly MessagePart[];
  readonly tools: readonly ToolContract[];
  /** Gives the tool's own name for the one that the provider was told. A name that it was not told stays as it is. */
  readonly toolNamed: (wireName: string) => string;
};

/** What every provider takes as the name of a tool: Google wants a letter first, OpenAI no dots and 64 characters. */
const TOOL_NAME = /^[A-Za-z_][\w-]{0,63}$/;

/** Packages ask for a structured answer with a tool of this name where a model knows no other way, and take every call of it for the answer. */
const ANSWER_TOOL = 'json';

/** Characters of a tool's own name in the one made for it. With the hash it stays below what the strictest provider takes. */
const NAME_LENGTH = 48;

/** Ids of calls as most providers take them. */
const CALL_ID = /^[\w-]{1,64}$/;

/** Mistral takes exactly nine letters and digits. */
const MISTRAL_CALL_ID = /^[A-Za-z0-9]{9}$/;

/**
 * Spells the names of tools and the ids of calls as a provider takes them, for one request. What it takes anyway stays as it is; the rest
 * gets a name of its letters and a hash of the whole, the same in every call, so that a provider's cache holds. A blank text of the
 * model's own is left out where a provider would refuse it.
 */
export function spellForWire(
  wire: Wire,
  { parts, tools }: { readonly parts: readonly MessagePart[]; readonly tools: readonly ToolContract[] },
): WireNames {
  const names = respell([...tools.map(({ name }) => name), ...parts.flatMap(toolNameOf)], {
    isTaken: (name) => TOOL_NAME.test(name) && name !== ANSWER_TOOL,
    make: (name, hash) => `${letters(name)}_${hash.slice(0, 12)}`,
  });
  const ids = respell(parts.flatMap(callIdOf), {
    isTaken: (id) => (wire === 'mistral' ? MISTRAL_CALL_ID : CALL_ID).test(id),
    make: (_id, hash) => (wire === 'mistral' ? hash.slice(0, 9) : `call_${hash.slice(0, 24)}`),
  });
  const back = new Map([...names].map(([own, spelled]) => [spelled, own]));
  return {
    parts: parts.filter((part) => !isBlank(wire, part)).map((part) => respellPart(part, names, ids)),
    tools: tools.map((tool) => ({ ...tool, name: names.get(tool.name) ?? tool.name })),
    toolNamed: (wireName) => back.get(wireName) ?? wireName,
  };
}

type Spelling = {
  /** The provider takes it as it is. */
  readonly isTaken: (own: string) => boolean;
  readonly make: (own: string, hash: string) => string;
};

/** Gives every word a spelling of its own: one that another word has already is made anew. */
function respell(words: readonly string[], { isTaken, make }: Spelling): ReadonlyMap<string, string> {
  const own = [...new Set(words)];
  const used = new Set(own.filter(isTaken));
  const spelled = new Map([...used].map((word) => [word, word]));
  for (const word of own.filter((each) => !isTaken(each))) {
    let spelling = make(word, hashOf(word));
    for (let round = 1; used.has(spelling); round += 1) spelling = make(word, hashOf(`${word} ${round}`));
    used.add(spelling);
    spelled.set(word, spelling);
  }
  return spelled;
}

function letters(name: string): string {
  const plain = name.replaceAll(/[^\w-]/g, '_').slice(0, NAME_LENGTH);
  return /^[A-Za-z_]/.test(plain) ? plain : `_${plain}`;
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function toolNameOf(part: MessagePart): readonly string[] {
  return part.kind === 'tool-call' || part.kind === 'tool-result' ? [part.toolName] : [];
}

function callIdOf(part: MessagePart): readonly string[] {
  return part.kind === 'tool-call' || part.kind === 'tool-result' ? [part.toolCallId] : [];
}

/** Reasoning without words is kept for the provider that wants it back; Mistral's package would send it as an empty thought. */
function isBlank(wire: Wire, part: MessagePart): boolean {
  const isShown = part.kind === 'assistant-text' || (part.kind === 'reasoning' && wire === 'mistral');
  return isShown && part.text.trim() === '';
}

function respellPart(
  part: MessagePart,
  names: ReadonlyMap<string, string>,
  ids: ReadonlyMap<string, string>,
): MessagePart {
  if (part.kind !== 'tool-call' && part.kind !== 'tool-result') return part;
  const { toolName, toolCallId } = part;
  return { ...part, toolName: names.get(toolName) ?? toolName, toolCallId: ids.get(toolCallId) ?? toolCallId };
}
