// Goal: no request asks for more than the tokens that are reserved for it, whatever its provider's package adds for reasoning or an agent's options say.
// Method: the real packages, against a server that notes what it is sent; what is looked at is the request on the wire.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { invokeModel } from '../../../src/activities/model/invoke-model.ts';
import { createModels } from '../../../src/activities/model/providers.ts';
import type { ModelParameters } from '../../../src/domain/model/model-policy.ts';

type Sent = { readonly [name: string]: Sent } & { readonly [name: string]: unknown };

describe('the request of a call', () => {
  const sent: Sent[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      sent.push(JSON.parse(body) as Sent);
      response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"seen"}}');
    });
  });
  let origin: string;

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  const BEARER = { AWS_BEARER_TOKEN_BEDROCK: 'k' };
  const SIGNED = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_REGION: 'us-east-1' };

  /** Sends a call and gives its body; the error where it was not sent. */
  async function ask(
    id: string,
    outputTokensMax: number,
    parameters: ModelParameters,
    env: Readonly<Record<string, string>> = BEARER,
  ): Promise<Sent> {
    const addresses = {
      OPENAI_API_KEY: 'k',
      ANTHROPIC_API_KEY: 'k',
      AZURE_API_KEY: 'k',
      GOOGLE_GENERATIVE_AI_API_KEY: 'k',
    };
    const urls = ['OPENAI', 'ANTHROPIC', 'AZURE', 'GOOGLE', 'BEDROCK'].map((name) => [`${name}_BASE_URL`, origin]);
    const models = createModels({ env: { ...addresses, ...Object.fromEntries(urls), ...env }, rehearsals: new Map() });
    const resolved = await models.resolve({ id, outputTokensMax, contextTokensMax: 100_000 });
    const count = sent.length;
    const { reasoning, providerOptions } = parameters;
    const settings = {
      parameters: {
        ...(reasoning === undefined ? {} : { reasoning }),
        ...(providerOptions === undefined ? {} : { providerOptions }),
      },
    };
    const request = { instructions: 'Be brief.', parts: [{ kind: 'user-text', text: 'Hi.' } as const], tools: [] };
    const asked = invokeModel(resolved, { ...request, outputTokensMax, settings }, new AbortController().signal);
    const error = await asked.then(
      () => assert.fail('it was answered'),
      (failure: unknown) => failure,
    );
    return sent.length === count ? Promise.reject(error) : (sent.at(-1) ?? assert.fail());
  }

  it('has thinking inside of what may be written, as Anthropic counts it', async () => {
    const body = await ask('anthropic:claude-haiku-4-5', 8_000, { reasoning: 'high' });
    assert.equal(body['max_tokens'], 8_000);
    assert.deepEqual(body['thinking'], { type: 'enabled', budget_tokens: 4_000 });
  });

  it('keeps a thinking budget that the agent names, and leaves the rest for words', async () => {
    const providerOptions = { anthropic: { thinking: { type: 'enabled', budgetTokens: 6_000 } } };
    const body = await ask('anthropic:claude-haiku-4-5', 8_000, { providerOptions });
    assert.deepEqual([body['max_tokens'], body['thinking']?.['budget_tokens']], [8_000, 6_000]);
  });

  it('does not think where there is no room for it', async () => {
    const body = await ask('anthropic:claude-haiku-4-5', 1_500, { reasoning: 'high' });
    assert.deepEqual([body['max_tokens'], body['thinking']], [1_500, undefined]);
  });

  it('is held to it on Bedrock, too', async () => {
    const model = 'bedrock:us.anthropic.claude-haiku-4-5-20251001-v1:0';
    const body = await ask(model, 8_000, { reasoning: 'high' });
    assert.equal(body['inferenceConfig']?.['maxTokens'], 8_000);
    assert.equal(body['additionalModelRequestFields']?.['thinking']?.['budget_tokens'], 4_000);
    const providerOptions = { amazonBedrock: { reasoningConfig: { type: 'enabled', budgetTokens: 2_000 } } };
    const signed = await ask(model, 8_000, { providerOptions }, SIGNED);
    assert.equal(signed['inferenceConfig']?.['maxTokens'], 8_000);
  });

  it('is not sent where it is signed and asks for more', async () => {
    const model = 'bedrock:us.anthropic.claude-haiku-4-5-20251001-v1:0';
    await assert.rejects(ask(model, 8_000, { reasoning: 'high' }, SIGNED), /asks for more than the 8000 tokens/);
  });

  it('asks for one reply of that length, whatever the options say', async () => {
    const azure = await ask('azure:gpt-5-mini', 500, { providerOptions: { openai: { maxCompletionTokens: 90_000 } } });
    assert.equal(azure['max_completion_tokens'], 500);
    const openai = await ask('openai:gpt-4o', 500, { providerOptions: { openai: { n: 5 } } });
    assert.deepEqual([openai['max_completion_tokens'], openai['n']], [500, 1]);
  });
});
