import type { Environment, Models, ModelSettings } from '../model/providers.ts';
import type { ResolvedModel } from '../model/invoke-model.ts';
import { ModelUnavailable } from '../model/model-errors.ts';
import { keptModel } from './kept-model.ts';
import { playFetch } from './play-fetch.ts';
import type { RecordedModel } from './player.ts';
import { recordFetch, type RecordingSink } from './record-fetch.ts';

/** Recordings by name. Undefined for one that is not there. */
export type Recordings = (name: string) => RecordedModel | undefined;

type CreateModels = (settings: ModelSettings) => Models;

/** Makes models that record what goes over their wire. Models of our own have none and are not recorded. */
export function recordingModels(create: CreateModels, settings: ModelSettings, sink: RecordingSink): Models {
  const fetch = settings.fetch ?? ((input, init) => globalThis.fetch(input, init));
  const byId = new Map<string, Models>();
  return {
    ...create(settings),
    resolve: async (choice) => {
      const { id } = choice;
      const models = byId.get(id) ?? create({ ...settings, fetch: recordFetch(fetch, id, sink) });
      byId.set(id, models);
      return models.resolve(choice);
    },
  };
}

/**
 * Plays a recording as the model it was made of: `name` is the recording's, and may be followed by a colon and a model's id where a run had
 * several. What it costs is computed as then and called simulated.
 *
 * @throws ModelUnavailable when there is no such recording, or it cannot be read.
 */
export async function playedModel(
  create: CreateModels,
  settings: ModelSettings,
  id: string,
  name: string,
): Promise<ResolvedModel> {
  const [, recordingName = name, own] = /^([^:]+):(.+)$/.exec(name) ?? [];
  const model = findRecording(settings, id, recordingName);
  const modelId = own ?? model.modelId;
  const { fetch: _fetch, countPlayed, ...rest } = settings;
  const env = withoutKeys(settings.env);
  const played = await create({ ...rest, env, fetch: playFetch(model, modelId, countPlayed) }).resolve({
    id: modelId,
    outputTokensMax: 1,
    contextTokensMax: 1,
  });
  if (model.kind === 'wire') return { ...played, id, simulated: true };
  return { ...played, id, model: keptModel(model, modelId, countPlayed), wire: 'simulated', simulated: true };
}

function findRecording({ recordings }: ModelSettings, id: string, name: string): RecordedModel {
  let model: RecordedModel | undefined;
  try {
    model = recordings?.(name);
  } catch (error) {
    const mend = 'Record the run anew, or repair the file.';
    throw new ModelUnavailable('model-error', `The recording ${name} cannot be read: ${String(error)}`, mend);
  }
  if (model !== undefined) return model;
  const mend = `Put ${name}.jsonl into the folder that PERDURE_RECORDINGS_DIR names.`;
  throw new ModelUnavailable('model-error', `This worker has no recording for ${id}`, mend);
}

/** A recording is played without a network, so keys and addresses only have to be there; prices are those of this worker. */
function withoutKeys(env: Environment): Environment {
  return new Proxy(env, {
    get: (target, name) => {
      if (typeof name !== 'string') return undefined;
      if (/_(?:API_KEY|ACCESS_KEY|ACCESS_KEY_ID|TOKEN|TOKEN_BEDROCK|REGION)$/.test(name)) return 'recorded';
      if (name.endsWith('_FILE')) return undefined;
      return /_(?:BASE_URL|ENDPOINT)$/.test(name) ? 'http://recorded.invalid/v1' : target[name];
    },
  });
}
