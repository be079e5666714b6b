import { readFileSync } from 'node:fs';
import { findProvider } from '../../activities/model/provider-table.ts';
import { effectiveModelId } from '../../activities/model/providers.ts';
import type { ResolvedModel } from '../../activities/model/invoke-model.ts';
import { ModelUnavailable } from '../../activities/model/model-errors.ts';
import type { Agent } from '../../authoring/define-agent.ts';
import { choicesOf } from '../../domain/model/model-policy.ts';
import { type Environment, readWorkerConfig } from '../../runtime/config.ts';
import { createLogger } from '../../runtime/logger.ts';
import { readRecordingMasks } from '../../runtime/recordings.ts';
import { createWorkerModels } from '../../workers/create-worker-models.ts';
import { readModelLimits } from '../../workers/model-limits.ts';
import type { Cli } from '../cli.ts';
import { loadOwnAgents } from '../find-agent.ts';
import { formatCount } from '../format/units.ts';
import { examinePriceBook, usablePriceBook } from '../models/examine-prices.ts';
import { fail, type Finding, ok, warn } from './finding.ts';
import { spellCommand } from '../spell-command.ts';

/** Stands for the database, which is looked at by itself. */
const SOME_DATABASE = 'postgres://localhost/perdure';

/** Looks at the configuration, at the agents, and at every model that a run of theirs would get here. */
export async function examineAgents(cli: Pick<Cli, 'cwd' | 'env'>): Promise<readonly Finding[]> {
  const configuration = examineConfiguration(cli.env);
  try {
    const agents = await loadOwnAgents(cli);
    return [
      configuration,
      judgeAgents(agents),
      ...(await examineModels(agents, cli.env)),
      ...examinePriceBook(cli.env, Date.now()),
      ...examineSecrets(agents, cli.env),
    ];
  } catch (error) {
    return [configuration, fail('agents', (error as Error).message, 'mend the agent, or set PERDURE_AGENTS_DIR')];
  }
}

function examineConfiguration(env: Environment): Finding {
  try {
    readWorkerConfig({ ...env, DATABASE_URL: env['DATABASE_URL'] || SOME_DATABASE });
    readModelLimits(env);
    readRecordingMasks(env);
    return ok('configuration', 'every variable can be used');
  } catch (error) {
    return fail('configuration', (error as Error).message, 'put the variable right; docs/configuration.md lists all');
  }
}

function judgeAgents(agents: ReadonlyMap<string, Agent>): Finding {
  if (agents.size === 0) return warn('agents', 'there are none', `${spellCommand('agent new')} makes one`);
  return ok('agents', `${formatCount(agents.size, 'agent')}: ${[...agents.keys()].join(', ')}`);
}

/** Looks at each model once, whichever agents name it, in whatever tier. */
async function examineModels(agents: ReadonlyMap<string, Agent>, env: Environment): Promise<readonly Finding[]> {
  const rehearsals = new Map(
    [...agents].flatMap(([name, { rehearsal }]) => (rehearsal === undefined ? [] : [[name, rehearsal] as const])),
  );
  // What is wrong with the recording's own variables is said of the configuration.
  const own = { ...env, PERDURE_RECORD_MODELS: '', PERDURE_RECORD_MASKS: '' };
  const settings = { env: own, rehearsals, readFile: readText };
  // As a worker has them, without the folder that it would make to record into.
  const models = createWorkerModels({ ...settings, prices: usablePriceBook(env) }, new Map(), createLogger('fatal'));
  const findings = new Map<string, Finding>();
  const rehearsed = new Set<string>();
  for (const { agent, choice, isFallback } of modelsOf(agents)) {
    const id = effectiveModelId(choice.id, env);
    if (findings.has(id)) continue;
    try {
      const model = await models.resolve({ ...choice, id });
      if (id.startsWith('recorded:')) findings.set(id, ok('model', `${id} plays a recording, with simulated costs`));
      else if (model.simulated) rehearsed.add(agent);
      else findings.set(id, ofChain(judgeModel(model, env), isFallback));
    } catch (error) {
      const mend = error instanceof ModelUnavailable ? error.mend : 'put the model of the agent right';
      findings.set(id, ofChain(fail('model', (error as Error).message, mend), isFallback));
    }
  }
  return [...findings.values(), ...(rehearsed.size === 0 ? [] : [warnOfRehearsals([...rehearsed])])];
}

/** Lists the models of all agents, those that tiers begin with first. */
function modelsOf(agents: ReadonlyMap<string, Agent>) {
  return [...agents]
    .flatMap(([agent, { models }]) => choicesOf(models).map((each) => ({ agent, ...each })))
    .map(({ place, ...rest }) => ({ ...rest, isFallback: place.includes('.fallbacks') }))
    .toSorted((a, b) => Number(a.isFallback) - Number(b.isFallback));
}

/** Without a fallback runs go on for as long as the model before it answers. */
function ofChain({ subject, status, message, mend }: Finding, isFallback: boolean): Finding {
  const said = isFallback ? `fallback ${message}` : message;
  return { subject, status: isFallback && status === 'fail' ? 'warn' : status, message: said, mend };
}

function warnOfRehearsals(agents: readonly string[]): Finding {
  const mend =
    'set OPENAI_API_KEY, or PERDURE_MODEL and the key of its provider, or PERDURE_MODEL_BASE_URL, for a real model';
  return warn('model', `rehearsed, with simulated costs: ${agents.join(', ')}`, mend);
}

function judgeModel({ id, provider, keyName, price }: ResolvedModel, env: Environment): Finding {
  const key = keyOf(provider, keyName, env);
  if (key.problem !== null) return fail('model', `${id}: ${key.problem}`, `set ${keyName}, or ${keyName}_FILE`);
  if (price === null) {
    const mend = 'set PERDURE_MODEL_CEILING_USD_PER_MTOK to what a million tokens cost at most';
    return fail('model', `${id} has no known price, so its runs are refused`, mend);
  }
  return ok('model', `${id}, ${key.from}, priced by ${price.version}`);
}

/** Says where a key comes from, or why there is none. Never the key. */
function keyOf(
  provider: string,
  name: string | null,
  env: Environment,
): { readonly from: string; readonly problem: string | null } {
  const { secrets = [], isKeyOptional } = findProvider(provider) ?? {};
  for (const each of secrets) {
    const file = env[`${each}_FILE`];
    if (file && !isReadable(file)) return { from: '', problem: `the file of ${each}_FILE cannot be read or is empty` };
    if (file) return { from: `key from ${each}_FILE`, problem: null };
    if (env[each]?.trim()) return { from: `key from ${each}`, problem: null };
  }
  // A server of one's own may need no key, so a missing one is not refused for it.
  return isKeyOptional === true ? { from: 'no key', problem: null } : { from: '', problem: `${name} is not set` };
}

function isReadable(path: string): boolean {
  try {
    return readText(path).trim() !== '';
  } catch {
    return false;
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}

/** Looks for the secrets that tools declare. `npm start` brings the database's address itself. */
function examineSecrets(agents: ReadonlyMap<string, Agent>, env: Environment): readonly Finding[] {
  const declared = [...agents.values()].flatMap(({ tools }) => tools.flatMap(({ secrets }) => secrets));
  const missing = [...new Set(declared)].filter((name) => name !== 'DATABASE_URL' && !env[name]);
  if (missing.length === 0) return [];
  return [fail('secrets', `not set: ${missing.join(', ')}`, 'set them where workers of the role tools run')];
}
