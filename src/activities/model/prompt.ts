import type { LanguageModelV4FunctionTool, LanguageModelV4Message, LanguageModelV4Prompt } from '@ai-sdk/provider';
import type { MessagePart } from '../../domain/model/message-part.ts';
import type { ToolContract } from '../../domain/tool/contract.ts';
import { objectSchema } from './object-schema.ts';

/** Tells the model that the words are not the user's: they come from an operator or a check. */
export const GUIDANCE_PREFIX = 'Guidance from the operator: ';

type Part<Kind extends MessagePart['kind']> = Extract<MessagePart, { kind: Kind }>;
type Content<Role extends LanguageModelV4Message['role']> = Extract<LanguageModelV4Message, { role: Role }>['content'];

/**
 * Builds the prompt of a call: the instructions, then the transcript in its order, with consecutive parts of one role in one
 * message. Nothing in it depends on the time or the call, so a longer transcript keeps the prefix that a provider has cached.
 */
export function buildPrompt(instructions: string, parts: readonly MessagePart[]): LanguageModelV4Prompt {
  const prompt: LanguageModelV4Prompt = [{ role: 'system', content: instructions }];
  for (const part of parts) append(prompt, part);
  return prompt;
}

/** Describes the tools to the model, in their order. */
export function buildTools(tools: readonly ToolContract[]): LanguageModelV4FunctionTool[] {
  return tools.map((tool) => ({
    type: 'function',
    name: tool.name,
    description: tool.description,
    inputSchema: objectSchema(tool.inputSchema) as LanguageModelV4FunctionTool['inputSchema'],
  }));
}

function append(prompt: LanguageModelV4Prompt, part: MessagePart): void {
  switch (part.kind) {
    case 'user-text':
    case 'summary':
    case 'recalled':
      contentOf(prompt, 'user').push({ type: 'text', text: part.text });
      return;
    case 'guidance':
      contentOf(prompt, 'user').push({ type: 'text', text: `${GUIDANCE_PREFIX}${part.text}` });
      return;
    case 'file': {
      const { mediaType, name: filename, data } = part;
      contentOf(prompt, 'user').push({ type: 'file', mediaType, filename, data: { type: 'data', data } });
      return;
    }
    case 'assistant-text':
      contentOf(prompt, 'assistant').push({ type: 'text', text: part.text, ...optionsOf(part) });
      return;
    case 'reasoning':
      contentOf(prompt, 'assistant').push({ type: 'reasoning', text: part.text, ...optionsOf(part) });
      return;
    case 'tool-call':
      contentOf(prompt, 'assistant').push({
        type: 'tool-call',
        toolCallId: part.toolCallId,
        toolName: part.toolName,
        input: callInput(part),
        ...optionsOf(part),
      });
      return;
    case 'tool-result':
      contentOf(prompt, 'tool').push({
        type: 'tool-result',
        toolCallId: part.toolCallId,
        toolName: part.toolName,
        output: resultOutput(part),
      });
      return;
  }
}

/** Finds the content of the last message when it has the role, and otherwise of a new one. */
function contentOf<Role extends 'user' | 'assistant' | 'tool'>(
  prompt: LanguageModelV4Prompt,
  role: Role,
): Content<Role> {
  const last = prompt.at(-1);
  if (last?.role === role) return last.content as Content<Role>;
  const content: Content<Role> = [] as unknown as Content<Role>;
  prompt.push({ role, content } as LanguageModelV4Message);
  return content;
}

function optionsOf(part: Part<'assistant-text' | 'reasoning' | 'tool-call'>): {
  providerOptions?: Record<string, never>;
} {
  return part.metadata === undefined ? {} : { providerOptions: part.metadata as Record<string, never> };
}

/** Chat templates take a call's input apart as an object, so arguments that were not one are shown inside one. */
function callInput(part: Part<'tool-call'>): unknown {
  const { input } = part;
  return typeof input === 'object' && input !== null && !Array.isArray(input) ? input : { notAnObject: input };
}

function resultOutput({
  isError,
  output,
}: Part<'tool-result'>): Extract<Content<'tool'>[number], { type: 'tool-result' }>['output'] {
  if (typeof output === 'string') return { type: isError ? 'error-text' : 'text', value: output };
  return { type: isError ? 'error-json' : 'json', value: output as never };
}
