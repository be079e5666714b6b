import type { Agent } from '../authoring/define-agent.ts';
import type { Failpoint } from '../domain/failpoint.ts';
import type { Spans } from '../runtime/gen-ai.ts';
import type { ReplyStreams } from '../domain/stream/stream.ts';
import type { Stores } from '../stores/stores.ts';
import type { Models } from './model/providers.ts';
import type { RateLimits } from './model/rate-limit.ts';
import type { Routing } from './model/routing/create-routing.ts';

export type ActivitySettings = {
  /** Prefix of the task queues: `perdure`. */
  readonly queuePrefix: string;
  readonly turnsPerExecution: number;
  readonly modelTimeoutMs: number;
  /** Identity of this worker, as Temporal shows it. */
  readonly worker: string;
};

/** What activities need of their process. */
export type ActivityDependencies = {
  readonly stores: Stores;
  /** Agents by name. */
  readonly agents: ReadonlyMap<string, Agent>;
  readonly models: Models;
  /** Gives the model that stands behind a choice on this worker; a rehearsal may be replaced by a configured provider. */
  readonly effectiveModelId: (id: string) => string;
  /** Reads a secret of a tool. */
  readonly secret: (name: string) => string | undefined;
  readonly settings: ActivitySettings;
  readonly failpoint: Failpoint;
  /** Breakers and bulkheads of the models. Absent where every call may be made at once. */
  readonly routing?: Routing;
  /** Traces what is asked of models and tools. Absent where nothing is traced. */
  readonly spans?: Spans;
  /** Carries what models say to whoever reads along. Absent where that is off. */
  readonly streams?: ReplyStreams;
  /** Requests and tokens per minute of providers. Absent where none are configured. */
  readonly rateLimits?: RateLimits;
};
