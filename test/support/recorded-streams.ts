import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve as absolute } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a recording says, as a reader of its own found it. */
export type Recorded = {
  readonly events: number;
  readonly text: string;
  readonly tool_calls: readonly { readonly name: string; readonly arguments: unknown }[];
  readonly usage: {
    readonly input?: number;
    readonly output?: number;
    readonly cache_read?: number;
    readonly reasoning?: number;
    readonly candidates?: number;
    readonly thoughts?: number;
  };
  readonly stop: string | null;
  readonly error: object | null;
};

/**
 * How a recording is served: `whole`, in pieces of seven bytes (`split`), broken off (`reset`), or ended properly in the middle, without and
 * with the last word of OpenAI's streams (`clean`, `done`).
 */
export type Playing = { readonly mode: 'whole' | 'split' | 'reset' | 'clean' | 'done'; readonly events?: number };

export type RecordedStreams = {
  readonly urlOf: (name: string, playing: Playing) => string;
  /** Serves a body as JSON, whatever was asked: the whole, or its first half with a proper end. */
  readonly urlOfBody: (name: string, status: number, part?: 'whole' | 'half') => string;
  readonly close: () => Promise<void>;
};

/** The folder of recordings. Not there where nobody has it. */
export const RECORDINGS = absolute(process.env['PERDURE_CASES'] ?? '../shared/cases', 'llm-fixtures');

/** Reads what the recorded streams say, by `provider/name`. */
export function recordedReplies(): readonly (readonly [string, Recorded])[] {
  if (!existsSync(RECORDINGS)) return [];
  return Object.entries(
    JSON.parse(readFileSync(join(RECORDINGS, 'expected.json'), 'utf8')) as Record<string, Recorded>,
  );
}

/** Lists the recorded bodies, as `provider/name`. */
export function recordedBodies(): readonly string[] {
  if (!existsSync(RECORDINGS)) return [];
  const files = readdirSync(RECORDINGS, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => /^[\w-]+\/.*\.json$/.test(file)).map((file) => file.replace(/\.json$/, ''));
}

/** Serves recordings as their providers did, and as bad connections do. */
export async function startRecordedStreams(): Promise<RecordedStreams> {
  const server = createServer((request, response) => {
    request.resume();
    void serve(request.url ?? '', response).catch(() => response.destroy());
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    urlOf: (name, { mode, events = 0 }) => `${origin}/stream/${name}/${mode}/${events}`,
    urlOfBody: (name, status, part = 'whole') => `${origin}/body/${name}/${status}/${part}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function serve(url: string, response: ServerResponse): Promise<void> {
  const [, kind = '', provider = '', name = '', how = '', count = ''] = decodeURIComponent(url).split('/');
  const file = join(RECORDINGS, provider, name);
  if (kind === 'body') {
    response.writeHead(Number(how), { 'content-type': 'application/json' });
    const body = readFileSync(`${file}.json`);
    response.end(count === 'half' ? body.subarray(0, body.length / 2) : body);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const lines = readFileSync(`${file}.chunks.txt`, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  const kept = how === 'whole' || how === 'split' ? lines : lines.slice(0, Number(count));
  const isOpenAi = !['anthropic', 'google'].includes(provider);
  const hasLastWord = how === 'done' || (isOpenAi && kept.length === lines.length && how !== 'clean');
  const text = [...kept.map((line) => eventOf(provider, line)), hasLastWord ? 'data: [DONE]\n\n' : ''].join('');
  const bytes = Buffer.from(text);
  const step = how === 'split' ? 7 : Math.max(1, bytes.length);
  for (let start = 0; start < bytes.length; start += step) {
    response.write(bytes.subarray(start, start + step));
    if (how === 'split' && start % 700 === 0) await new Promise((turn) => setImmediate(turn));
  }
  if (how !== 'reset') response.end();
  else {
    // The client reads what was written before the break.
    await sleep(20);
    response.destroy();
  }
}

/** Anthropic names each event as well. A line that is no JSON goes out as it is. */
function eventOf(provider: string, line: string): string {
  const type = provider === 'anthropic' ? /"type"\s*:\s*"(\w+)"/.exec(line)?.[1] : undefined;
  return `${type === undefined ? '' : `event: ${type}\n`}data: ${line}\n\n`;
}
