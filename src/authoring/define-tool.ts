import { z } from 'zod';
import { canonicalJson, type JsonObject, type JsonValue } from '../domain/json.ts';
import { LIMITS } from '../domain/run/limits.ts';
import { isWrite, type EffectClass, type ToolContract } from '../domain/tool/contract.ts';

/** What a tool gets besides its input. */
export type ToolContext = {
  /** Aborted when the call is cancelled, times out or passes its send deadline: give it to every request. */
  readonly signal: AbortSignal;
  /** The effect's key, the same on every attempt. Send it to a destination that can use it. Reads have one too. */
  readonly idempotencyKey: string;
  /**
   * Attempt of this call, from 1. The key stays the same, so a destination that has promised `never` refuses what comes with a lower
   * attempt than the one it was asked in.
   */
  readonly attempt: number;
  readonly tenant: string;
  readonly agentRunId: string;
  /**
   * Reads a secret that the tool declared.
   *
   * @throws ToolUnreachable when the worker does not have it.
   */
  readonly secret: (name: string) => string;
};

/** What a deferred tool gets besides its input. */
export type DeferredToolContext = ToolContext & {
  /**
   * Gives the call its result, with `completeTool` of the client library or `perdure tool complete`: hand it to whoever does the work, and to
   * nobody else. It is the same on every attempt.
   */
  readonly token: string;
};

/**
 * What the destination knows of a key. `never` is a promise: a late arrival of the earlier send will be refused.
 * A plain "not there" is `cannot-tell`, because a stopped process may still send.
 */
export type Reconciliation<Output> =
  { readonly kind: 'done'; readonly result: Output } | { readonly kind: 'never' } | { readonly kind: 'cannot-tell' };

export type ToolSpec<Input extends z.ZodType, Output extends z.ZodType> = {
  /** camelCase, or snake_case where it comes so from elsewhere; at most 48 characters: `lookupOrder`. */
  readonly name: string;
  /** Semantic version. A new major version is served beside the old one. */
  readonly version: string;
  /** What the model reads: what the tool does, when to use it, what it refuses. */
  readonly description: string;
  readonly input: Input;
  readonly output: Output;
  readonly effect: EffectClass;
  /** Who answers for the tool. */
  readonly owner: string;
  /**
   * Milliseconds one call may take. For a write this is the send deadline: after it the call is aborted and counts as not known.
   * Default 10,000; for `execution: 'local'` 1,000, which is also the most.
   */
  readonly timeoutMs?: number;
  /** Calls of a read before the model is told of the failure. Default 3. Writes are governed by the effect ledger instead. */
  readonly attemptsMax?: number;
  /** `queued` is an activity of its own on the tool queue; `local` runs beside the workflow and is for reads of at most 1 s. */
  readonly execution?: 'queued' | 'local';
  /** A task queue of its own: the bulkhead of a slow or fragile tool. Workers serve it as `perdure-tool-<taskQueue>`. */
  readonly taskQueue?: string;
  /** When the tool cannot be reached: `block` waits until it can, `observe` tells the model. Default: writes block, reads observe. */
  readonly whenUnavailable?: 'block' | 'observe';
  /**
   * How the destination treats `context.idempotencyKey`. `destination: true` promises that a second send with the same key
   * changes nothing and returns the first result. `businessKey` makes the effect happen once across runs: a second run
   * with the same key is answered `already-done`.
   */
  readonly idempotencyKey?: {
    readonly destination: boolean;
    readonly businessKey?: (input: z.output<Input>) => string;
  };
  /** Asks the destination what became of a key. Without it an unknown outcome waits for a person. */
  readonly reconcile?: (
    key: string,
    input: z.output<Input>,
    context: ToolContext,
  ) => Promise<Reconciliation<z.output<Output>>>;
  /** Names of the secrets the tool reads. Each must be in the worker's environment. */
  readonly secrets?: readonly string[];
  readonly deferred?: undefined;
  readonly run: (input: z.output<Input>, context: ToolContext) => Promise<z.input<Output>>;
};

/**
 * A tool whose result comes later, from outside. `run` begins the work and hands on the token; the call then waits, without a process, until
 * the result is given. `output` is the schema of that result.
 */
export type DeferredToolSpec<Input extends z.ZodType, Output extends z.ZodType> = Omit<
  ToolSpec<Input, Output>,
  'deferred' | 'reconcile' | 'run'
> & {
  /** Milliseconds until the model reads that no result came in time, from the moment the work has begun: 1 to 31,622,400,000 (366 days). */
  readonly deferred: { readonly timeoutMs: number };
  /** Asks the destination whether the work has begun. `done` says that it has; its result still comes by the token. */
  readonly reconcile?: (
    key: string,
    input: z.output<Input>,
    context: DeferredToolContext,
  ) => Promise<Reconciliation<DeferredNote>>;
  /** Begins the work. What it returns is a note for operators, such as the number of the job; the model does not read it. */
  readonly run: (input: z.output<Input>, context: DeferredToolContext) => Promise<DeferredNote>;
};

type DeferredNote = string | undefined | void;

/** The context of any call: the token is there where the tool is deferred. */
export type CallContext = ToolContext & { readonly token?: string };

/** A tool as workers hold it: its contract, and functions that take and give JSON. */
export type Tool = {
  readonly contract: ToolContract;
  readonly owner: string;
  readonly timeoutMs: number;
  readonly attemptsMax: number;
  readonly execution: 'queued' | 'local';
  readonly taskQueue: string | null;
  readonly whenUnavailable: 'block' | 'observe';
  readonly destinationHoldsKeys: boolean;
  readonly secrets: readonly string[];
  readonly parseInput: (input: JsonValue) => Parsed;
  readonly businessKey: ((input: JsonValue) => string) | null;
  readonly reconcile:
    ((key: string, input: JsonValue, context: CallContext) => Promise<Reconciliation<JsonValue>>) | null;
  /** How a result that comes later is taken; null for a tool that gives its result itself. */
  readonly deferred: { readonly timeoutMs: number; readonly parseOutput: (output: JsonValue) => ParsedOutput } | null;
  /**
   * Does the work and gives its parsed output. A deferred tool begins it and gives its note.
   *
   * @throws MisshapenOutput when the work was done and the output schema refuses what came back.
   */
  readonly run: (input: JsonValue, context: CallContext) => Promise<JsonValue>;
};

export type Parsed =
  { readonly kind: 'ok'; readonly input: JsonValue } | { readonly kind: 'invalid'; readonly message: string };

type ParsedOutput =
  { readonly kind: 'ok'; readonly output: JsonValue } | { readonly kind: 'invalid'; readonly message: string };

/** A tool has done its work, and its output is not what its schema promises. A write has happened all the same. */
export class MisshapenOutput extends Error {
  override readonly name = 'MisshapenOutput';
  /** What the tool returned, as JSON. */
  readonly output: JsonValue;

  constructor(message: string, output: JsonValue) {
    super(message);
    this.output = output;
  }
}

/** Ten seconds: beyond the p99 of ordinary APIs, short enough that a write whose reply was lost is settled soon. */
const DEFAULT_TIMEOUT_MS = 10_000;

/** An hour. What takes longer should return at once and be asked about later. */
const TIMEOUT_MS_MAX = 3_600_000;

/** What a local tool may take: a longer one would hold up the workflow task it runs in. */
const LOCAL_TIMEOUT_MS_MAX = 1_000;

/**
 * Defines a tool. The input schema is parsed before the policy looks at the arguments, the output schema before the model does. With
 * `deferred` the result comes later, from outside.
 *
 * @throws TypeError when the definition contradicts itself; the message says what to change.
 */
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(
  spec: DeferredToolSpec<Input, Output>,
): Tool;
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(spec: ToolSpec<Input, Output>): Tool;
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(spec: AnySpec<Input, Output>): Tool {
  checkSpec(spec);
  const parse = (input: JsonValue): z.output<Input> => spec.input.parse(input);
  const execution = spec.execution ?? 'queued';
  const { businessKey } = spec.idempotencyKey ?? {};
  const reconcile = reconcileOf(spec);
  return {
    contract: {
      name: spec.name,
      version: spec.version,
      description: spec.description,
      inputSchema: jsonSchema(spec.input, 'input'),
      outputSchema: jsonSchema(spec.output, 'output'),
      effect: spec.effect,
      ...(spec.deferred === undefined ? {} : { deferred: true }),
    },
    owner: spec.owner,
    timeoutMs: spec.timeoutMs ?? (execution === 'local' ? LOCAL_TIMEOUT_MS_MAX : DEFAULT_TIMEOUT_MS),
    attemptsMax: spec.attemptsMax ?? 3,
    execution,
    taskQueue: spec.taskQueue ?? null,
    whenUnavailable: spec.whenUnavailable ?? (isWrite(spec.effect) ? 'block' : 'observe'),
    destinationHoldsKeys: spec.idempotencyKey?.destination ?? false,
    secrets: spec.secrets ?? [],
    parseInput: (input) => parseInput(spec, input),
    businessKey: businessKey === undefined ? null : (input) => businessKey(parse(input)),
    reconcile:
      reconcile === undefined
        ? null
        : async (key, input, context) => {
            const answer = await reconcile(key, parse(input), context);
            if (answer.kind === 'done') return { kind: 'done', result: toJson(answer.result) };
            // It often comes from a destination as it is, whatever its type says.
            if (!['never', 'cannot-tell'].includes(answer.kind)) {
              throw new TypeError(`reconcile of ${spec.name} must answer done, never or cannot-tell`);
            }
            return answer;
          },
    deferred:
      spec.deferred === undefined
        ? null
        : { timeoutMs: spec.deferred.timeoutMs, parseOutput: (output) => parseLater(spec.output, output) },
    run: async (input, context) => {
      if (spec.deferred === undefined) return parseOutput(spec.output, await spec.run(parse(input), context));
      return toJson(await spec.run(parse(input), withToken(context)));
    },
  };
}

/**
 * Parses what a model gave. Policy and approval see the parsed arguments and the tool gets them later, so parsing twice must give the
 * same. A schema's own functions may throw on what a model makes up; that too is told to the model, whose call is paid by then.
 */
function parseInput({ name, input: schema }: Pick<ToolSpec<z.ZodType, z.ZodType>, 'name' | 'input'>, input: JsonValue) {
  try {
    const parsed = toJson(schema.parse(input));
    const again = schema.safeParse(parsed);
    if (again.success && canonicalJson(toJson(again.data)) === canonicalJson(parsed)) {
      return { kind: 'ok', input: parsed } as const;
    }
    const message = `the input schema of ${name} turns parsed input into something else when it parses it again; transform in run instead`;
    return { kind: 'invalid', message } as const;
  } catch (error) {
    return { kind: 'invalid', message: problemOf(error) } as const;
  }
}

type AnySpec<Input extends z.ZodType, Output extends z.ZodType> =
  ToolSpec<Input, Output> | DeferredToolSpec<Input, Output>;

type Reconcile<Input extends z.ZodType> = (
  key: string,
  input: z.output<Input>,
  context: CallContext,
) => Promise<Reconciliation<unknown>>;

function reconcileOf<Input extends z.ZodType>(spec: AnySpec<Input, z.ZodType>): Reconcile<Input> | undefined {
  if (spec.deferred === undefined || spec.reconcile === undefined)
    return spec.reconcile as Reconcile<Input> | undefined;
  const { reconcile } = spec;
  return (key, input, context) => reconcile(key, input, withToken(context));
}

function withToken(context: CallContext): DeferredToolContext {
  const { token } = context;
  if (token === undefined) throw new Error('a deferred tool needs a token in its context');
  return { ...context, token };
}

/** Parses a result that came from outside; what a schema makes of it must not throw. */
function parseLater(schema: z.ZodType, output: JsonValue): ParsedOutput {
  try {
    return { kind: 'ok', output: toJson(schema.parse(output)) };
  } catch (error) {
    return { kind: 'invalid', message: problemOf(error) };
  }
}

function parseOutput(schema: z.ZodType, raw: unknown): JsonValue {
  try {
    return toJson(schema.parse(raw));
  } catch (error) {
    throw new MisshapenOutput(`the output is not in its documented shape: ${problemOf(error)}`, jsonOrNull(raw));
  }
}

function problemOf(error: unknown): string {
  if (error instanceof z.ZodError) return z.prettifyError(error);
  return error instanceof Error ? error.message : String(error);
}

/** What is no JSON, such as a value that holds itself, has no use for a model. */
function jsonOrNull(value: unknown): JsonValue {
  try {
    return toJson(value);
  } catch {
    return null;
  }
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonObject {
  return toJson(z.toJSONSchema(schema, { io, unrepresentable: 'any' })) as JsonObject;
}

function toJson(value: unknown): JsonValue {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as JsonValue);
}

function checkSpec<Input extends z.ZodType, Output extends z.ZodType>(spec: AnySpec<Input, Output>): void {
  const refuse = (what: string): never => {
    throw new TypeError(`defineTool(${JSON.stringify(spec.name)}): ${what}`);
  };
  if (!/^[a-z][A-Za-z0-9_]{0,47}$/.test(spec.name))
    refuse('name must be camelCase or snake_case, 1 to 48 letters, digits and underscores');
  if (!/^\d+\.\d+\.\d+$/.test(spec.version)) refuse(`version must be like 1.0.0, got ${JSON.stringify(spec.version)}`);
  if (spec.taskQueue !== undefined && !/^[a-z][a-z0-9-]{0,31}$/.test(spec.taskQueue))
    refuse('taskQueue must be kebab-case');
  const { timeoutMs = 1 } = spec;
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX) {
    refuse(`timeoutMs must be a whole number from 1 to ${TIMEOUT_MS_MAX}, got ${timeoutMs}`);
  }
  const wait = spec.deferred?.timeoutMs ?? 1;
  if (!Number.isInteger(wait) || wait < 1 || wait > LIMITS.deadlineMsMax) {
    refuse(`deferred.timeoutMs must be a whole number from 1 to ${LIMITS.deadlineMsMax}, got ${wait}`);
  }
  const isLocal = spec.execution === 'local';
  if (isLocal && isWrite(spec.effect)) refuse("execution 'local' is for reads; a write needs an activity of its own");
  if (isLocal && (spec.timeoutMs ?? 0) > LOCAL_TIMEOUT_MS_MAX)
    refuse(`a local tool may take ${LOCAL_TIMEOUT_MS_MAX} ms`);
  if (!isWrite(spec.effect) && (spec.idempotencyKey ?? spec.reconcile) !== undefined) {
    refuse('idempotencyKey and reconcile are for writes; a read has no effect to keep once');
  }
}
