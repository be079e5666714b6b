import type { Fallback } from '../../../domain/model/model-policy.ts';
import type { Breakers } from '../../../stores/breakers.ts';
import { type Bulkheads, createBulkheads } from './bulkheads.ts';
import { createProcessBreakers, type OnBreaker, type ProcessBreakers } from './process-breakers.ts';

/** Hears that another model was asked than the one that a run should have. */
export type OnFallback = (agent: string, fallback: Fallback) => void;

/** What a process knows of the models that it calls. */
export type Routing = {
  readonly breakers: ProcessBreakers;
  readonly bulkheads: Bulkheads;
  readonly onFallback: OnFallback;
};

export type RoutingSetup = {
  readonly breakers: Breakers;
  /** Calls of one model at once, in this process. */
  readonly callsMax: number;
  readonly onBreaker: OnBreaker;
  readonly onFallback: OnFallback;
};

/** Makes the routing of a process: one for all its workers, because a bulkhead holds for the process. */
export function createRouting({ breakers, callsMax, onBreaker, onFallback }: RoutingSetup): Routing {
  return {
    breakers: createProcessBreakers(breakers, onBreaker),
    bulkheads: createBulkheads(callsMax),
    onFallback,
  };
}
