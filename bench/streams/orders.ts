import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** What the processes of the measurement tell each other. */
export type Scene = {
  readonly databaseUrl: string;
  readonly tenant: string;
  readonly runIds: readonly string[];
  /** Tokens of each stream. */
  readonly tokens: number;
};

/** Milliseconds of processor that a server and its processes have used, as Linux counts them; NaN elsewhere. */
export function usedCpuMsOf(pid: number): number {
  if (!existsSync('/proc')) return Number.NaN;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .reduce((sum, name) => {
      const fields = statOf(name);
      const own = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
      // Its ended processes count as its own.
      if (Number(name) === pid) return sum + own + (Number(fields[13]) + Number(fields[14])) * TICK_MS;
      return Number(fields[1]) === pid ? sum + own : sum;
    }, 0);
}

/** Linux counts in hundredths of a second. */
const TICK_MS = 10;

/** Fields of a process from its state on. */
function statOf(pid: string): readonly string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return [];
  }
}

/** Milliseconds of processor that this process has used. */
export function usedCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

export type CallerOrder = Scene & {
  /** Runs whose calls are the ledger's load, one after the other in each. */
  readonly ledgerIds: readonly string[];
  /** Milliseconds between two calls of such a run. */
  readonly ledgerMs: number;
  /** Milliseconds within which the streams begin. */
  readonly beginMs: number;
  readonly baseUrl: string;
};
export type CallerResult = { readonly ledgerCalls: number; readonly callMs: number; readonly cpuMs: number };

export type ReaderOrder = Scene & {
  readonly patienceMs: number;
};
export type ReaderResult = {
  readonly latenciesMs: readonly number[];
  readonly gaps: number;
  readonly cpuMs: number;
};
