import type { JsonValue } from '../../domain/json.ts';
import { withOutputContract } from '../../domain/model/output-contract.ts';
import type { Release } from '../../domain/release/release.ts';
import type { KeptCall } from '../../stores/kept-calls.ts';
import { uniqueCallIds } from '../model/unique-call-ids.ts';
import { maskRequest } from './mask-json.ts';
import { createMasker, MASK_KINDS, type MaskKind } from './masker.ts';
import { kindsOf } from './player.ts';
import type { Kept, RecordingLine } from './recording.ts';

/**
 * Writes the calls of a run that was not recorded on the wire as a recording. The last call of a turn that was answered has the reply; those before
 * it fail as they did.
 *
 * @returns the lines of the recording, the first one first.
 * @throws TypeError for a run that called no model.
 */
export function keepCalls(
  run: string,
  calls: readonly KeptCall[],
  releaseOf: ReadonlyMap<string, Release>,
  masks: Readonly<Record<string, RegExp>>,
): readonly RecordingLine[] {
  if (calls.length === 0) throw new TypeError(`run ${run} called no model`);
  const kinds = [...MASK_KINDS, ...kindsOf(masks)];
  const lines = calls.flatMap((call): Kept[] => {
    // A call that a person cancelled has no reply, and nobody asks for it again.
    if (call.outcome === 'cancelled') return [];
    return [toLine(call, releaseOf.get(call.release), kinds)];
  });
  const sources = Object.fromEntries(Object.entries(masks).map(([name, { source }]) => [name, source]));
  return [{ kind: 'recording', version: 1, run, masks: sources }, ...lines];
}

function toLine(call: KeptCall, release: Release | undefined, kinds: readonly MaskKind[]): Kept {
  const { turn, name, kept, usage } = call;
  const isReplied = call.outcome === 'replied' || call.outcome === 'summarised';
  const masker = createMasker(kinds);
  const mask = <Value>(value: Value): Value => maskRequest(plain(value), masker) as Value;
  // A prompt that was refused for its length is not the one that was answered in the end.
  const asked = call.cause === 'validation' ? null : (kept?.asked ?? null);
  const request =
    asked === null || release === undefined
      ? null
      : mask({
          instructions: withOutputContract(release.instructions, release.output),
          parts: uniqueCallIds(asked),
          tools: release.tools.map(({ name: tool, description, inputSchema }) => ({
            name: tool,
            description,
            inputSchema,
          })) as JsonValue,
        });
  return {
    kind: 'kept',
    turn,
    model: name,
    request,
    reply: isReplied && kept !== null ? mask(kept.reply as unknown as JsonValue) : null,
    failure: isReplied
      ? null
      : { cause: call.cause ?? 'model-error', message: masker.mask(call.message ?? ''), charge: call.charge },
    modelId: call.model,
    usage,
  };
}

function plain(value: unknown): JsonValue {
  return JSON.parse(JSON.stringify(value)) as JsonValue;
}
