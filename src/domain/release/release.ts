import type { ModelPolicy } from '../model/model-policy.ts';
import type { OutputContract } from '../model/output-contract.ts';
import type { ApprovalRule } from '../policy/approval-policy.ts';
import type { InputGuardrail } from '../policy/guardrail.ts';
import type { ReflectionPolicy } from '../policy/reflection.ts';
import type { ExitSpec } from '../run/exit-policy.ts';
import { contentHash } from '../sha-256.ts';
import type { ToolContract } from '../tool/contract.ts';

/** What a run of the agent may use up. Every number is a ceiling for the whole run. */
export type RunLimits = {
  /** Pico-dollars (10⁻¹² USD) as a decimal string. */
  readonly costPico: string;
  readonly tokens: number;
  readonly turns: number;
  readonly toolCalls: number;
  /** Milliseconds of work; waiting for people, pause and blocked do not count. */
  readonly activeMs: number;
};

/**
 * An immutable bundle of everything that shapes behaviour except worker code. Timeouts, retries, queues, evidence and the
 * build are not part of it.
 */
export type Release = {
  readonly agent: string;
  readonly instructions: string;
  readonly models: ModelPolicy;
  readonly tools: readonly ToolContract[];
  readonly guardrails: readonly InputGuardrail[];
  readonly approvals: readonly ApprovalRule[];
  readonly limits: RunLimits;
  readonly reflection: ReflectionPolicy | null;
  /** What ends a run before its model does. Missing where the agent names nothing. */
  readonly exit?: ExitSpec;
  /** Left out where answers are plain text, so that such releases keep the hash they had before there was anything else. */
  readonly output?: OutputContract;
};

/** Hashes a release: its id. */
export function releaseId(release: Release): string {
  return contentHash(release);
}
