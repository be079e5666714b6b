import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RECORDINGS } from './recorded-streams.ts';

/** A recording as the events of a stream, and the last word that its protocol has; empty where it has none. */
export type RecordedEvents = { readonly events: readonly string[]; readonly lastWord: string };

/** How a played stream ends: as it should, or with a connection that breaks. */
export type StreamEnd = 'clean' | 'reset';

/** Reads a recording, by `provider/name`. */
export function recordedEvents(name: string): RecordedEvents {
  const [provider = ''] = name.split('/');
  const lines = readFileSync(join(RECORDINGS, `${name}.chunks.txt`), 'utf8').split('\n');
  const events = lines.filter((line) => line !== '').map((line) => eventOf(provider, line));
  return { events, lastWord: ['anthropic', 'google'].includes(provider) ? '' : 'data: [DONE]\n\n' };
}

/** Makes a client that answers everything with one stream. */
export function streamingFetch(
  body: string | Uint8Array,
  { end = 'clean', pieceBytes = Infinity, contentType = 'text/event-stream' }: StreamForm = {},
): typeof fetch {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  return async () => {
    let at = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (at < bytes.length) controller.enqueue(bytes.subarray(at, at + Math.min(pieceBytes, bytes.length)));
        else if (end === 'clean') controller.close();
        else controller.error(new TypeError('terminated', { cause: BROKEN }));
        at += pieceBytes;
      },
    });
    return new Response(stream, { headers: { 'content-type': contentType } });
  };
}

export type StreamForm = {
  readonly end?: StreamEnd;
  readonly pieceBytes?: number;
  readonly contentType?: string;
};

/** What Node's client throws when the other side is gone. */
const BROKEN = Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' });

/** Anthropic names each event as well. */
function eventOf(provider: string, line: string): string {
  const type = provider === 'anthropic' ? /"type"\s*:\s*"(\w+)"/.exec(line)?.[1] : undefined;
  return `${type === undefined ? '' : `event: ${type}\n`}data: ${line}\n\n`;
}
