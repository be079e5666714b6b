import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Fixture, LLMock } from '@copilotkit/aimock';
import { identifyProcess } from '../../../src/cli/dev-stack/process-identity.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { endWithTests, testFolder } from '../servers.ts';
import { DOMAINS, tauFolder } from './cases.ts';

/** Wires that the cases are played on, with what names a model of each. */
export const WIRES = { chat: 'openai:tau', responses: 'openai-responses:tau', anthropic: 'anthropic:tau' } as const;

export type Wire = keyof typeof WIRES;

/** A call as the tool server received it. `ran` is false where its key had been seen. */
export type LedgerEntry = {
  readonly name: string;
  readonly arguments: JsonObject;
  readonly key?: string;
  readonly ran: boolean;
  readonly known: boolean;
  readonly error: boolean;
};

export type TauServers = {
  /** What workers need to find them. */
  readonly env: Readonly<Record<string, string>>;
  readonly ledgerOf: (domain: string, session: string) => Promise<readonly LedgerEntry[]>;
  /** What the provider was asked and could not answer. */
  readonly refused: () => readonly string[];
  readonly close: () => Promise<void>;
};

/** Starts a provider that plays the calls of the cases on every wire, and the server of their tools. */
export async function startTauServers(): Promise<TauServers> {
  // Its turns are counted by the replies in the request; without this it guesses.
  process.env['AIMOCK_STRICT_TURN_INDEX'] = '1';
  const provider = new LLMock({ port: 0, host: '127.0.0.1', journalMaxEntries: 0 });
  for (const domain of DOMAINS) provider.addFixtures(readFixtures(domain));
  await provider.start();
  const { child, url } = await startTools();
  return {
    env: {
      OPENAI_API_KEY: 'no-key',
      ANTHROPIC_API_KEY: 'no-key',
      PERDURE_MODEL_BASE_URL: `${provider.url}/v1`,
      ANTHROPIC_BASE_URL: `${provider.url}/v1`,
      PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
      TAU_TOOLS_URL: url,
    },
    ledgerOf: async (domain, session) => {
      const response = await fetch(`${url}/ledger/${domain}/${session}`);
      return (await response.json()) as readonly LedgerEntry[];
    },
    refused: () =>
      provider
        .getRequests()
        .filter(({ response }) => response.status !== 200)
        .map(({ path, response }) => `${path}: ${response.status}`),
    close: async () => {
      child.kill('SIGKILL');
      await provider.stop();
    },
  };
}

/**
 * Reads what the model says in the cases of a domain. The case is looked for in all that the user has said: what the run itself tells the model
 * comes as the user's words, and may be the last of them.
 */
function readFixtures(domain: string): Fixture[] {
  const text = readFileSync(join(tauFolder, domain, 'aimock-fixtures.json'), 'utf8');
  const { fixtures } = JSON.parse(text) as {
    readonly fixtures: readonly (Fixture & { readonly match: { readonly userMessage: string } })[];
  };
  return fixtures.map(({ match: { userMessage, ...match }, response, ...more }) => {
    const words = JSON.stringify(userMessage).slice(1, -1);
    const predicate: NonNullable<Fixture['match']['predicate']> = ({ messages }) =>
      messages.some((message) => message.role === 'user' && JSON.stringify(message.content).includes(words));
    return { ...more, match: { ...match, predicate }, response: withTexts(response) };
  });
}

/** A file may have arguments as objects, the provider has them as text. */
function withTexts(response: Fixture['response']): Fixture['response'] {
  if (!('toolCalls' in response)) return response;
  const toolCalls = response.toolCalls?.map((call) => ({
    ...call,
    arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments),
  }));
  return { ...response, ...(toolCalls === undefined ? {} : { toolCalls }) };
}

async function startTools(): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const child = spawn(process.execPath, [join(tauFolder, 'recorded-tools.mjs'), '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  const identity = identifyProcess(child.pid ?? 0);
  if (identity !== null) endWithTests(await testFolder(), identity);
  const port = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the tools of the cases ended with ${code}`)));
    child.stdout.on('data', (bytes: Buffer) => {
      const [, found] = /ready on (\d+)/.exec(bytes.toString('utf8')) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
  return { child, url: `http://127.0.0.1:${port}` };
}
