import { createModels, type Models, type ModelSettings } from '../activities/model/providers.ts';
import { MASK_KINDS } from '../activities/recorded/masker.ts';
import { kindsOf, recorded, type RecordedModel } from '../activities/recorded/player.ts';
import { recordingModels } from '../activities/recorded/recorded-models.ts';
import type { Logger } from '../runtime/logger.ts';
import { appendToRecording, readRecording, readRecordingSettings } from '../runtime/recordings.ts';

/**
 * Makes the models of a worker: those of its settings, those that play a recording, and where it is asked for all of them recorded.
 *
 * @throws ConfigurationError when recordings are asked for in a way that cannot be.
 */
export function createWorkerModels(
  settings: ModelSettings,
  given: ReadonlyMap<string, RecordedModel>,
  logger: Logger,
): Models {
  const { recordInto, playFrom, masks } = readRecordingSettings(settings.env);
  // A recording is read once: what it has played belongs to it.
  const read = new Map(given);
  const recordings = (name: string): RecordedModel | undefined => {
    const known = read.get(name);
    if (known !== undefined || playFrom === null) return known;
    const text = readRecording(playFrom, name);
    if (text === undefined) return undefined;
    const model = recorded(text);
    read.set(name, model);
    return model;
  };
  const own = { ...settings, recordings };
  if (recordInto === null) return createModels(own);
  return recordingModels(createModels, own, {
    append: async (run, line) => appendToRecording({ folder: recordInto, masks }, run, line),
    report: (problem) => logger.warn({ problem }, 'a call of a model could not be recorded'),
    kinds: [...MASK_KINDS, ...kindsOf(masks)],
  });
}
