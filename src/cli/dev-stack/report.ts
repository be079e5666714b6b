/** Receives one line for the person at the terminal. */
export type Report = (line: string) => void;

/** Milliseconds between two signs of life of a long wait. */
const progressMs = 10_000;

/** Runs a long piece of work and reports every ten seconds how long it has taken. */
export async function withProgress<T>(report: Report, what: string, work: () => Promise<T>): Promise<T> {
  const startedMs = Date.now();
  const timer = setInterval(() => {
    report(`${what}: ${Math.round((Date.now() - startedMs) / 1000)} s so far`);
  }, progressMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
