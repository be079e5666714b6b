import type { TopUp } from './message.ts';
import type { Run } from './run.ts';

/** Raises the limits of a run. What was exhausted is looked at anew. */
export function topUpLimits(run: Run, topUp: TopUp): Run {
  if (run.plan === null) return run;
  const { limits } = run.plan;
  return {
    ...run,
    exhausted: null,
    ...(run.exhaustedAccount ? { exhaustedAccount: null } : {}),
    ...(run.closedBy ? { closedBy: null } : {}),
    plan: {
      ...run.plan,
      limits: {
        costPico: String(BigInt(limits.costPico) + BigInt(topUp.costPico ?? 0)),
        tokens: limits.tokens + (topUp.tokens ?? 0),
        turns: limits.turns + (topUp.turns ?? 0),
        toolCalls: limits.toolCalls + (topUp.toolCalls ?? 0),
        activeMs: limits.activeMs + (topUp.activeMs ?? 0),
      },
    },
  };
}
