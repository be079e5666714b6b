import type { JsonValue } from '../json.ts';
import type { EffectClass } from '../tool/contract.ts';
import { type Condition, meetsCondition } from './condition.ts';

/** A rule that makes a tool call wait for a person. Rules are data: they are part of the release's hash. */
export type ApprovalRule = {
  /** Name shown to the approver and in the audit, for example `refund-above-100-usd`. */
  readonly name: string;
  readonly tool: string;
  /** Which calls of the tool; absent means all. */
  readonly when?: Condition;
  /** Time the person has, in milliseconds. Default: 24 hours. */
  readonly deadlineMs?: number;
  /** What happens when nobody decides in time. Default: `reject`. */
  readonly onExpiry?: 'reject' | 'approve';
};

/** What policy says of one call. `rule` names the rule that decided. */
export type Verdict =
  | { readonly kind: 'allow' }
  | {
      readonly kind: 'approve';
      readonly rule: string;
      readonly deadlineMs: number;
      readonly onExpiry: 'reject' | 'approve';
    };

/** A day: long enough for a person in another time zone, short enough that the customer still wants it. */
const DEFAULT_APPROVAL_DEADLINE_MS = 24 * 60 * 60 * 1000;

/**
 * Decides whether a call needs a person, from the tool's effect class and its full, parsed arguments.
 * An irreversible tool that no rule names always does.
 */
export function judgeCall(
  rules: readonly ApprovalRule[],
  call: { readonly tool: string; readonly effect: EffectClass; readonly input: JsonValue },
): Verdict {
  const ofTool = rules.filter((rule) => rule.tool === call.tool);
  const rule = ofTool.find((candidate) => candidate.when === undefined || meetsCondition(candidate.when, call.input));
  if (rule !== undefined) {
    return {
      kind: 'approve',
      rule: rule.name,
      deadlineMs: rule.deadlineMs ?? DEFAULT_APPROVAL_DEADLINE_MS,
      onExpiry: rule.onExpiry ?? 'reject',
    };
  }
  if (call.effect === 'irreversible' && ofTool.length === 0) {
    return { kind: 'approve', rule: 'irreversible', deadlineMs: DEFAULT_APPROVAL_DEADLINE_MS, onExpiry: 'reject' };
  }
  return { kind: 'allow' };
}
