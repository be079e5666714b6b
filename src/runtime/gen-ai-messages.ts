import type { JsonObject } from '../domain/json.ts';
import type { MessagePart } from '../domain/model/message-part.ts';

type Message = { readonly role: string; readonly parts: JsonObject[] };

/** Writes a prompt as the gen_ai conventions want it: messages by role, in order. */
export function inputMessages(parts: readonly MessagePart[]): readonly Message[] {
  const messages: Message[] = [];
  for (const part of parts) {
    const role = roleOf(part);
    const last = messages.at(-1);
    if (last?.role === role) last.parts.push(toPart(part));
    else messages.push({ role, parts: [toPart(part)] });
  }
  return messages;
}

/** Writes a reply as the gen_ai conventions want it. */
export function outputMessages(parts: readonly MessagePart[], finishReason: string): readonly object[] {
  return [{ role: 'assistant', parts: parts.map(toPart), finish_reason: finishReason }];
}

/** Writes instructions as the gen_ai conventions want them. */
export function systemInstructions(instructions: string): readonly JsonObject[] {
  return [{ type: 'text', content: instructions }];
}

function roleOf(part: MessagePart): string {
  switch (part.kind) {
    case 'user-text':
    case 'guidance':
    case 'summary':
    case 'recalled':
    case 'file':
      return 'user';
    case 'assistant-text':
    case 'reasoning':
    case 'tool-call':
      return 'assistant';
    case 'tool-result':
      return 'tool';
  }
}

function toPart(part: MessagePart): JsonObject {
  switch (part.kind) {
    case 'user-text':
    case 'guidance':
    case 'summary':
    case 'recalled':
    case 'assistant-text':
      return { type: 'text', content: part.text };
    case 'file':
      // Its bytes are in the database; a span is no place for them.
      return { type: 'text', content: `[file ${part.name}, ${part.mediaType}, ${part.bytes} bytes]` };
    case 'reasoning':
      return { type: 'reasoning', content: part.text };
    case 'tool-call':
      return { type: 'tool_call', id: part.toolCallId, name: part.toolName, arguments: part.input };
    case 'tool-result':
      return { type: 'tool_call_response', id: part.toolCallId, response: part.output };
  }
}
