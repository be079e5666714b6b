import type { JsonObject } from '../json.ts';
import { contentHash } from '../sha-256.ts';

/**
 * What a tool may do outside. `read` changes nothing; `idempotent-write` may be sent twice with the same effect;
 * `write` must happen once; `irreversible` must happen once and cannot be undone.
 */
export type EffectClass = 'read' | 'idempotent-write' | 'write' | 'irreversible';

/** What a model and a run rely on: a change of any of it is another contract. */
export type ToolContract = {
  readonly name: string;
  /** Semantic version; the major number is part of the activity type. */
  readonly version: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
  readonly outputSchema: JsonObject;
  readonly effect: EffectClass;
  /** Set where the result comes from outside, later. `outputSchema` is then that of the result. */
  readonly deferred?: true;
};

/** Hashes a contract. Runs pin it at admission and activities refuse another. */
export function contractHash(contract: ToolContract): string {
  return contentHash(contract);
}

/** Names the activity type of a tool: its name and major version, so that the Web UI reads as what happened. */
export function toolActivityType(contract: Pick<ToolContract, 'name' | 'version'>): string {
  return `${contract.name}@${contract.version.split('.')[0]}`;
}

/** Tells whether an effect class changes something outside. */
export function isWrite(effect: EffectClass): boolean {
  return effect !== 'read';
}
