/** A check on what comes in, as data. `pattern` is an ECMAScript regular expression, matched without regard to case. */
export type InputGuardrail = {
  readonly name: string;
  readonly pattern: string;
  /** `block` refuses the run, `redact` replaces each match, `warn` only records. */
  readonly verdict: 'block' | 'redact' | 'warn';
};

export type GuardrailOutcome = {
  readonly verdict: 'pass' | 'warn' | 'redact' | 'block';
  /** Names of the guardrails that matched, in order. */
  readonly matched: readonly string[];
  /** The text as it may go on: redacted where a guardrail asked for it. */
  readonly text: string;
};

const SEVERITY = ['pass', 'warn', 'redact', 'block'] as const;

/** Runs the input guardrails over a text; the gravest verdict wins. */
export function applyGuardrails(guardrails: readonly InputGuardrail[], text: string): GuardrailOutcome {
  let outcome: GuardrailOutcome = { verdict: 'pass', matched: [], text };
  for (const guardrail of guardrails) {
    const pattern = new RegExp(guardrail.pattern, 'giu');
    if (!pattern.test(outcome.text)) continue;
    pattern.lastIndex = 0;
    const isGraver = SEVERITY.indexOf(guardrail.verdict) > SEVERITY.indexOf(outcome.verdict);
    outcome = {
      verdict: isGraver ? guardrail.verdict : outcome.verdict,
      matched: [...outcome.matched, guardrail.name],
      text:
        guardrail.verdict === 'redact'
          ? outcome.text.replace(pattern, () => `[${guardrail.name} redacted]`)
          : outcome.text,
    };
  }
  return outcome;
}
