import type { Report } from '../dev-stack/report.ts';

/** Milliseconds in which a second signal is the same key press: npm passes on what the terminal has sent already. */
const SAME_PRESS_MS = 1_000;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export type Interrupt = { readonly signal: AbortSignal; readonly forget: () => void };

/** Thrown by what Ctrl-C has called off. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Listens for Ctrl-C. The first one stops in order; a later one leaves at once, and the next start clears up. */
export function listenForInterrupt(report: Report): Interrupt {
  const controller = new AbortController();
  let firstMs: number | null = null;
  const onSignal = (): void => {
    if (firstMs === null) {
      firstMs = Date.now();
      report('stopping; press Ctrl-C again to leave at once');
      controller.abort(new Interrupted('interrupted'));
    } else if (Date.now() - firstMs > SAME_PRESS_MS) {
      process.exit(130);
    }
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    signal: controller.signal,
    forget: () => {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}
