import type { LanguageModelV4CallOptions } from '@ai-sdk/provider';
import type { MessagePart } from '../../domain/model/message-part.ts';
import { type ModelChoice, type ModelParameters, providerOf } from '../../domain/model/model-policy.ts';
import type { OutputContract } from '../../domain/model/output-contract.ts';
import type { Wire } from '../../domain/model/wire.ts';
import { sentSchema } from './output-schema.ts';

/** How a call is to be answered, besides its prompt. */
export type CallSettings = {
  readonly parameters?: ModelParameters;
  readonly output?: OutputContract;
};

/** Takes out of a model's choice how it is asked to write; `temperature` has a place of its own in requests. */
export function parametersOf(choice: ModelChoice): ModelParameters {
  const { topP, topK, seed, presencePenalty, frequencyPenalty, stopSequences, reasoning, providerOptions } = choice;
  const parameters = {
    topP,
    topK,
    seed,
    presencePenalty,
    frequencyPenalty,
    stopSequences,
    reasoning,
    providerOptions,
  };
  return Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined));
}

/** The provider's side of a resolved model. */
type Target = {
  readonly id: string;
  readonly wire: Wire;
  /** Name of the AI SDK package's model, such as `openai.responses`: what stands before the dot names its options. */
  readonly sdkProvider: string;
  readonly hasTools: boolean;
};

/** Writes a call's settings as the AI SDK takes them. */
export function settingOptions(
  { parameters = {}, output }: CallSettings,
  target: Target,
): Partial<LanguageModelV4CallOptions> {
  const { providerOptions, stopSequences, temperature: _, ...plain } = parameters;
  const format = output !== undefined && enforcesSchema(target) ? responseFormat(output, target) : null;
  const options = mergeOptions(format?.providerOptions, providerOptions);
  return {
    ...plain,
    ...(stopSequences === undefined ? {} : { stopSequences: [...stopSequences] }),
    ...(format === null ? {} : { responseFormat: format.responseFormat }),
    ...(Object.keys(options).length === 0 ? {} : { providerOptions: options }),
  };
}

/** Wires whose packages send a schema whether there are tools or not, or make a tool of it where the model cannot do both. */
const SCHEMA_WIRES: readonly Wire[] = ['openai-responses', 'anthropic', 'google', 'bedrock'];

/** The same for providers that speak OpenAI's chat completions. */
const SCHEMA_PROVIDERS: readonly string[] = ['openai', 'azure', 'groq', 'xai'];

/** Providers that take a schema, and then call no tools. */
const SCHEMA_WITHOUT_TOOLS: readonly string[] = ['mistral', 'deepseek'];

/**
 * Tells whether a provider is sent the schema. Where it is not, the instructions say it all the same and the answer is checked: an unknown server
 * may refuse a response format, or take it for its tool calls as well.
 */
export function enforcesSchema({ id, wire, hasTools }: Pick<Target, 'id' | 'wire' | 'hasTools'>): boolean {
  const provider = providerOf(id);
  return (
    SCHEMA_WIRES.includes(wire) ||
    SCHEMA_PROVIDERS.includes(provider) ||
    (!hasTools && SCHEMA_WITHOUT_TOOLS.includes(provider))
  );
}

type ResponseFormat = NonNullable<LanguageModelV4CallOptions['responseFormat']>;

/** Providers enforce a schema to the letter only where it is closed and has nothing but what they know; others they refuse in strict mode. */
function responseFormat({ schema: whole }: OutputContract, { sdkProvider }: Target) {
  const sent = sentSchema(whole);
  if (sent === null) return null;
  const { schema, isStrict } = sent;
  const format = { type: 'json', name: 'answer', schema } as unknown as ResponseFormat;
  const namespace = sdkProvider.split('.')[0] ?? sdkProvider;
  return {
    responseFormat: format,
    ...(isStrict ? {} : { providerOptions: { [namespace]: { strictJsonSchema: false } } as const }),
  };
}

type Options = NonNullable<LanguageModelV4CallOptions['providerOptions']>;

/** Merges options of providers; those of the second go before. */
export function mergeOptions(ours: Options = {}, own: Options = {}): Options {
  const names = new Set([...Object.keys(own), ...Object.keys(ours)]);
  return Object.fromEntries([...names].map((name) => [name, { ...ours[name], ...own[name] }]));
}

/**
 * Leaves out what only another provider can read: signatures of its reasoning, names of its items. Its reasoning goes with them, as no provider
 * takes another's. Parts of before their provider was written are left as they are.
 */
export function partsFor(provider: string, parts: readonly MessagePart[]): readonly MessagePart[] {
  return parts.flatMap((part): readonly MessagePart[] => {
    if (!('writtenBy' in part) || part.writtenBy === undefined || part.writtenBy === provider) return [part];
    if (part.kind === 'reasoning') return [];
    const { metadata: _, ...rest } = part;
    return [rest];
  });
}
