import type { ProcessIdentity } from './process-identity.ts';
import type { Report } from './report.ts';

/** What the stack needs to know. */
export type StackRequest = {
  /** The folder for all data, logs and the state file, such as `.data`. */
  readonly dataDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly report: Report;
  /** Tests always get servers of their own, whatever the environment names, at ports that nobody prefers. */
  readonly forTests?: boolean;
  /** Ends a bring-up early, for Ctrl-C: what was started until then is stopped. */
  readonly signal?: AbortSignal;
};

/** Where a server comes from: started here, found running on the same data, or named by the environment. */
export type ServerSource = 'started' | 'found' | 'configured';

/** The Temporal server of a stack. */
export type StackTemporal = {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string | null;
  /** Whether `stop` of this stack stops it. */
  readonly owned: boolean;
  readonly source: ServerSource;
};

/** The database of a stack. */
export type StackPostgres = { readonly url: string; readonly owned: boolean; readonly source: ServerSource };

/** Everything that must run before the workers do. */
export type DevStack = {
  readonly temporal: StackTemporal;
  readonly postgres: StackPostgres;
  /** Stops the servers that are ours, Temporal first, and forgets them. Stopping twice is fine. */
  readonly stop: () => Promise<void>;
};

/** One part's share of bringing up the stack. */
export type PartRequest = StackRequest & { readonly stateFile: string };

/** Receives a server that this process has to stop, as soon as its process exists. */
export type Own = (server: ProcessIdentity) => void;
