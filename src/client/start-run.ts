import { randomUUID } from 'node:crypto';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { truncate } from '../domain/json.ts';
import type { Tier } from '../domain/model/model-policy.ts';
import type { RunLimits } from '../domain/release/release.ts';
import { LIMITS } from '../domain/run/limits.ts';
import { type RunKind, type RunStart, subjectOfRun } from '../domain/run/start.ts';
import { startOptionsSchema } from '../domain/schemas/start-options.ts';
import { hashId } from '../domain/sha-256.ts';
import { type Attachment, readAttachments, writeAttachments } from './attachments.ts';
import { readShape, readText, type TextInput } from './check-input.ts';
import type { ClientContext } from './context.ts';
import { InvalidInput } from './errors.ts';

/** How to start a run. */
export type StartOptions = {
  /** Name of the agent. */
  readonly agent: string;
  /** What the agent is asked, at most 256 KiB of UTF-8. */
  readonly input: TextInput;
  /** Files that go with the input: at most 10, together at most 20 MiB. They need a client with `attachments`. */
  readonly attachments?: readonly Attachment[];
  /** 1 to 64 letters, digits, dots, dashes or underscores. Default `default`. */
  readonly tenant?: string;
  /** Whom the run is about; what is said is kept under this scope. Default: the run itself. */
  readonly subject?: string;
  /** Who starts the run. Default: the client's principal. */
  readonly principal?: string;
  /** The same tenant, kind and key start one run, for ever: starting again gives the first one. Default: random. */
  readonly startKey?: string;
  /** `single` ends with the first answer, a `conversation` waits for the next message. Default `single`. */
  readonly kind?: RunKind;
  /** Lower limits than the agent's; higher ones have no effect. */
  readonly limits?: Partial<RunLimits>;
  /** Milliseconds until the run expires, waiting included: 1,000 to 366 days. Default 7 days. */
  readonly deadlineMs?: number;
  /** Tier of the agent's models that answers. Default: the one that the agent uses. */
  readonly tier?: Tier;
  /** What happens when a limit is used up. `wait` only where somebody will top up. Default `end`. */
  readonly whenExhausted?: 'wait' | 'end';
};

/** Two seconds: a worker that dies with a workflow task in hand delays the run by this much. */
const WORKFLOW_TASK_TIMEOUT = '2s';

/** Characters of the input in the summary that the Web UI shows; with the agent's name at most 400 bytes, Temporal's bound. */
const SUMMARY_INPUT_MAX = 80;

const { KEYWORD } = SearchAttributeType;
const tenantKey = defineSearchAttributeKey('PerdureTenant', KEYWORD);
const agentKey = defineSearchAttributeKey('PerdureAgent', KEYWORD);
const modeKey = defineSearchAttributeKey('PerdureMode', KEYWORD);
const phaseKey = defineSearchAttributeKey('PerdurePhase', KEYWORD);

/**
 * Starts a run, or finds the one that was started under the same key. Everything is checked first: what was refused is not started.
 *
 * @returns the run's id and tenant.
 * @throws InvalidInput
 */
export async function startRun(
  context: ClientContext,
  { attachments, ...options }: StartOptions,
): Promise<{ readonly id: string; readonly tenant: string }> {
  const files = readAttachments(context, attachments);
  const checked = readStart(context, options);
  const { tenant, subject } = checked;
  const id = hashId(tenant, checked.kind, checked.startKey);
  const place = { tenant, agentRunIds: [id], subject: subject ?? subjectOfRun(id) };
  return launchRun(context, { ...checked, ...(await writeAttachments(context, place, files)) });
}

/** Starts the workflow of a run whose start was checked, or finds the one of the same key. */
export async function launchRun(
  context: ClientContext,
  start: RunStart,
): Promise<{ readonly id: string; readonly tenant: string }> {
  const id = hashId(start.tenant, start.kind, start.startKey);
  await context.temporal.workflow.start('agentRun', {
    ...workflowOptions(context, id, start),
    // A run that ended and was forgotten starts once more and returns its earlier end at admission.
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
  });
  return { id, tenant: start.tenant };
}

/** Says how a run is started, whoever starts it. A run that goes on under the id is left as it is. */
export function workflowOptions({ taskQueue }: ClientContext, id: string, start: RunStart) {
  return {
    args: [start] as [RunStart],
    workflowId: id,
    taskQueue,
    workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
    workflowIdConflictPolicy: 'USE_EXISTING' as const,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: tenantKey, value: start.tenant },
      { key: agentKey, value: start.agent },
      { key: modeKey, value: start.mode },
      { key: phaseKey, value: 'running' },
    ]),
    staticSummary: summaryOf(start),
  };
}

/**
 * Checks what a caller passed and fills in the defaults.
 *
 * @throws InvalidInput
 */
export function readStart(context: ClientContext, options: Omit<StartOptions, 'attachments'>): RunStart {
  const { deadlineMs, ...parsed } = readShape(startOptionsSchema, {
    tenant: 'default',
    principal: context.principal,
    startKey: randomUUID(),
    kind: 'single',
    deadlineMs: LIMITS.deadlineMs,
    whenExhausted: 'end',
    ...definedOf(options),
    input: readText('input', options.input),
  });
  if (deadlineMs > LIMITS.deadlineMsMax) {
    throw new InvalidInput(`deadlineMs must be at most ${LIMITS.deadlineMsMax} (366 days), got ${deadlineMs}`);
  }
  const { subject, limits, tier, ...start } = parsed;
  return {
    ...start,
    ...(subject === undefined ? {} : { subject }),
    ...(tier === undefined ? {} : { tier }),
    ...(limits === undefined ? {} : { limits: definedOf(limits) as Partial<RunLimits> }),
    mode: 'live',
    deadlineAt: Date.now() + deadlineMs,
  };
}

/** Leaves out members that are undefined, so that they do not hide a default. */
function definedOf<Value extends object>(value: Value): Partial<Value> {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as unknown as Partial<Value>;
}

function summaryOf({ agent, input, retryOf }: RunStart): string {
  if (retryOf !== undefined) return `${agent} · retry of ${retryOf.runId}`;
  return `${agent} · ${truncate(input.replaceAll(/\s+/g, ' ').trim(), SUMMARY_INPUT_MAX)}`;
}
