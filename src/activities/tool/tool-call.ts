import type { CallContext, Tool } from '../../authoring/define-tool.ts';
import type { JsonValue } from '../../domain/json.ts';
import type { ExecuteToolInput } from '../../domain/run/activity-inputs.ts';
import type { RunFacts } from '../../stores/runs.ts';

/** A tool call that is about to be made: everything is found and checked. */
export type ToolCall = {
  readonly tenant: string;
  readonly facts: RunFacts;
  readonly tool: Tool;
  /** Parsed arguments. */
  readonly input: JsonValue;
  readonly request: ExecuteToolInput;
  /** The effect's key. */
  readonly key: string;
  /** Why the call may not be made, in words for the model. What an earlier attempt has sent is still settled. Null when it may. */
  readonly refusal: string | null;
  /** Gives a deferred call its result later. Null where the call gives its result itself. */
  readonly token: string | null;
};

/** Reads secrets for a tool: only those it declared. */
export type SecretReader = (name: string) => string | undefined;

/** Makes what the tool gets besides its input. */
export function makeToolContext(
  { tenant, facts, tool, key, token }: ToolCall,
  {
    signal,
    attempt,
    secret,
  }: { readonly signal: AbortSignal; readonly attempt: number; readonly secret: SecretReader },
): CallContext {
  return {
    signal,
    attempt,
    tenant,
    idempotencyKey: key,
    agentRunId: facts.id,
    ...(token === null ? {} : { token }),
    secret: (name) => {
      if (!tool.secrets.includes(name))
        throw new Error(`the tool ${tool.contract.name} does not declare the secret ${name}`);
      const value = secret(name);
      if (value !== undefined && value !== '') return value;
      throw Object.assign(new Error(`the secret ${name} is not set on this worker; set it and the run goes on`), {
        name: 'SecretMissing',
      });
    },
  };
}
