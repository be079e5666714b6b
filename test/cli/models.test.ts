// Goal: the command line says what models cost and where that is known from, and stops a deployment whose agents have models without a price.
// Method: the commands in folders with agents of their own, in good and in bad order; no server is needed.
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PRICE_TABLE } from '../../src/domain/model/price-table.ts';
import { testFolder } from '../support/servers.ts';
import { ROOT } from '../tidy/repository.ts';
import { capturedCli } from './captured-cli.ts';

type Listed = { readonly id: string; readonly input: string; readonly version: string };

describe('perdure models', () => {
  let cwd: string;
  let file: string;

  before(async () => {
    cwd = await testFolder();
    file = join(cwd, 'prices.json');
    await writeFile(
      file,
      JSON.stringify({
        version: 'ours',
        models: [
          { id: 'openai:gpt-99', usdPerMillion: { input: '1.5', output: 6 } },
          { id: 'ollama:qwen3', ceilingUsdPerMillion: 0 },
        ],
      }),
    );
    await mkdir(join(cwd, 'agents/priced'), { recursive: true });
    await writeFile(join(cwd, 'agents/priced/agent.ts'), agentWith('openai:gpt-99', 'anthropic:claude-haiku-4-5'));
  });

  const perdure = (env: NodeJS.ProcessEnv, ...parameters: readonly string[]) =>
    capturedCli(env, { cwd })(...parameters);
  const json = async <Value>(env: NodeJS.ProcessEnv, ...parameters: readonly string[]): Promise<Value> =>
    JSON.parse((await perdure(env, ...parameters, '--json')).out) as Value;

  it('ls lists the models of the providers that an id can name', async () => {
    const { exitCode, out, said } = await perdure({}, 'models', 'ls');
    assert.equal(exitCode, 0);
    assert.ok(out.split('\n').length > 300);
    assert.match(out, /^openai:gpt-5-mini +400,000 +0\.25 +0\.025 +0\.25 +2\.00$/m);
    assert.match(
      said,
      new RegExp(
        `^\\d+ models of \\d+; ${PRICE_TABLE.version}, fetched ${PRICE_TABLE.fetchedAt}; USD per million tokens$`,
      ),
    );
    assert.doesNotMatch(out, /^openrouter:|:regional\./m);
    assert.match(out, /^google:gemini-3\.6-flash .* changes with time$/m);
    assert.match(out, /^google:gemma-3 +0\.00 +0\.00 +0\.00 +0\.00 +free of charge$/m);
  });

  it('ls shows what has all words in it, of other sellers too where asked', async () => {
    const some = await json<readonly Listed[]>({}, 'models', 'ls', 'Anthropic', 'haiku');
    assert.ok(some.length > 1 && some.every(({ id }) => id.includes('anthropic') && id.includes('haiku')));
    const all = await json<readonly Listed[]>({}, 'models', 'ls', '--all', 'openrouter:anthropic');
    assert.ok(all.length > 1);
    assert.deepEqual(await json({}, 'models', 'ls', 'no-such-model'), []);
  });

  it('ls shows the prices of the file first', async () => {
    const [first] = await json<readonly Listed[]>({ PERDURE_PRICES_FILE: file }, 'models', 'ls');
    assert.deepEqual([first?.id, first?.input, first?.version], ['openai:gpt-99', '1.50', 'file-ours']);
  });

  it('prices shows every price, its tiers and times, where it is from and what a call costs', async () => {
    const { out } = await perdure({}, 'models', 'prices', 'openai:gpt-5.4', 'google:gemini-3.6-flash');
    assert.match(out, /USD per million tokens +base +input > 271,999\n {2}input +2\.50 +5\.00\n/);
    assert.match(out, /from 2027-01-01 on:\n {2}USD per million tokens\n {2}input +1\.50\n/);
    assert.match(out, /^batch: 50 % of these$/m);
    assert.match(out, /^a call with 1,000 tokens in and 500 out: 0\.01 USD, 0\.005 in the batch lane$/m);
    assert.match(out, new RegExp(`^${PRICE_TABLE.version}, from @pydantic/genai-prices`, 'm'));
  });

  it('prices says that a price is a ceiling, and of the file', async () => {
    const env = { PERDURE_PRICES_FILE: file };
    const { out } = await perdure(env, 'models', 'prices', 'ollama:qwen3');
    assert.match(out, /^ollama:qwen3 \(a ceiling: the price is not known\)$/m);
    assert.match(out, /^ceiling-file-ours, from PERDURE_PRICES_FILE$/m);
  });

  it('prices ends with 4 for what it does not know, and says what was meant', async () => {
    for (const [id, hint] of [
      ['openai:gpt-5-mni', /Did you mean openai:gpt-5-mini\?/],
      ['gpt-5-mini', /write it as provider:model, such as .*openai:gpt-5-mini/],
      ['nobody:gpt-5', /names no provider/],
      ['openai: ', /names no model/],
      ['rehearsal:priced', /is simulated: nothing is charged/],
      ['ollama:qwen3', /PERDURE_PRICES_FILE/],
    ] as const) {
      const { exitCode, said } = await perdure({}, 'models', 'prices', id);
      assert.equal(exitCode, 4, id);
      assert.match(said, hint);
    }
  });

  it('check ends with 3 when a model of an agent has neither a price nor a ceiling', async () => {
    const { exitCode, out, said } = await perdure({}, 'models', 'check');
    assert.equal(exitCode, 3);
    assert.match(out, /^openai:gpt-99 +none +priced$/m);
    assert.match(out, /^anthropic:claude-haiku-4-5 +known +1\.00 +5\.00 +genai-prices-\S+ +priced$/m);
    assert.match(said, /^1 model without a price: runs would be refused/);
  });

  it('check ends with 0 when the file has the price, or there is a ceiling', async () => {
    const priced = await perdure({ PERDURE_PRICES_FILE: file }, 'models', 'check');
    assert.equal(priced.exitCode, 0);
    assert.match(priced.out, /^ok price file: file-ours, 2 models$/m);
    assert.match(priced.out, /^openai:gpt-99 +known +1\.50 +6\.00 +file-ours +priced$/m);
    const bounded = await perdure({ PERDURE_MODEL_CEILING_USD_PER_MTOK: '20' }, 'models', 'check');
    assert.equal(bounded.exitCode, 0);
    assert.match(bounded.out, /^openai:gpt-99 +ceiling +20\.00 +20\.00 +ceiling-20 +priced$/m);
  });

  it("check looks at the models that may answer in a tier's place too", async () => {
    const other = await testFolder();
    await mkdir(join(other, 'agents/priced'), { recursive: true });
    const agent = agentWith('openai:gpt-5-mini', 'anthropic:claude-haiku-4-5', 'mistral:nobody-knows-it');
    await writeFile(join(other, 'agents/priced/agent.ts'), agent);
    const { exitCode, out } = await capturedCli({}, { cwd: other })('models', 'check');
    assert.match(out, /^mistral:nobody-knows-it +none +priced$/m);
    assert.equal(exitCode, 3);
  });

  it('check warns of a service whose price the table does not have, unless the file has it', async () => {
    const other = await testFolder();
    await mkdir(join(other, 'agents/priced'), { recursive: true });
    const agent = agentWith('openai:gpt-5', 'openai:gpt-99').replace(
      "id: 'openai:gpt-5',",
      "id: 'openai:gpt-5', providerOptions: { openai: { serviceTier: 'priority' } },",
    );
    await writeFile(join(other, 'agents/priced/agent.ts'), agent);
    const check = async (env: NodeJS.ProcessEnv) => (await capturedCli(env, { cwd: other })('models', 'check')).out;
    assert.match(await check({}), /^warn model: openai:gpt-5 is asked for serviceTier, and the table has no price/m);
    const own = join(other, 'prices.json');
    const models = ['openai:gpt-5', 'opnai:gpt-5'].map((id) => ({ id, usdPerMillion: { input: 3, output: 20 } }));
    await writeFile(own, JSON.stringify({ models }));
    const out = await check({ PERDURE_PRICES_FILE: own });
    assert.doesNotMatch(out, /serviceTier/);
    assert.match(
      out,
      /^warn price file: no model's id can begin with opnai:, so nothing has the price of opnai:gpt-5/m,
    );
  });

  it('prices says what a run pays where there is a ceiling', async () => {
    const env = { PERDURE_MODEL_CEILING_USD_PER_MTOK: '20' };
    for (const id of ['openai:gpt-99', 'openai-compatible:gpt-5-mini', 'ollama:qwen3']) {
      const { exitCode, out } = await perdure(env, 'models', 'prices', id);
      assert.equal(exitCode, 0, id);
      assert.match(out, /a ceiling: the price is not known/);
      assert.match(out, /^ceiling-20, from PERDURE_MODEL_CEILING_USD_PER_MTOK$/m);
    }
    const known = await perdure(env, 'models', 'prices', 'openai:gpt-5-mini');
    assert.match(known.out, /^genai-prices-\S+, from @pydantic/m);
    const wrong = await perdure({ PERDURE_MODEL_CEILING_USD_PER_MTOK: 'two' }, 'models', 'prices', 'openai:gpt-99');
    assert.notEqual(wrong.exitCode, 0);
    assert.match(wrong.said, /PERDURE_MODEL_CEILING_USD_PER_MTOK is not a price/);
  });

  it('prices shows what the batch lane costs, and what costs nothing', async () => {
    const { out } = await perdure({}, 'models', 'prices', 'openai:gpt-5-mini', 'google:gemma-3-27b-it');
    assert.match(out, /^a call with 1,000 tokens in and 500 out: 0\.00125 USD, 0\.000625 in the batch lane$/m);
    assert.match(out, /^google:gemma-3-27b-it \(priced as gemma-3; free of charge\)$/m);
  });

  it('ls says what was probably meant where nothing is found', async () => {
    const { out, said } = await perdure({}, 'models', 'ls', 'gpt-5-mni');
    assert.equal(out.trim().split('\n').length, 1);
    assert.match(said, /did you mean \S+:gpt-5-mini\?/i);
  });

  it('check says why a file of prices cannot be used', async () => {
    const { exitCode, said } = await perdure({ PERDURE_PRICES_FILE: join(cwd, 'none') }, 'models', 'check');
    assert.notEqual(exitCode, 0);
    assert.match(said, /PERDURE_PRICES_FILE names .* which cannot be read/);
  });
});

function agentWith(standard: string, strong: string, fallback?: string): string {
  const limits = 'outputTokensMax: 100, contextTokensMax: 10_000';
  const fallbacks = fallback === undefined ? '' : `, fallbacks: [{ id: '${fallback}', ${limits} }]`;

  return `import { defineAgent } from '${ROOT}/src/authoring/index.ts';
export const agent = defineAgent({
  name: 'priced',
  owner: 'tests',
  purpose: 'Has models.',
  requirements: { costPerRunUsd: 1, latencyP95Ms: 1000 },
  instructions: 'Answer.',
  models: {
    standard: { id: '${standard}', ${limits} },
    strong: { id: '${strong}', ${limits}${fallbacks} },
  },
  tools: [],
});
`;
}
