import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonValue } from '../../../src/domain/json.ts';

/**
 * What a destination knows of keys. `keyed` gives the first result again; `reconcilable` can be asked, and after it said
 * `never` it refuses the arrivals of earlier attempts; `uncertain` can be asked and cannot tell; `blind` does whatever arrives.
 */
export type DestinationKind = 'keyed' | 'reconcilable' | 'uncertain' | 'blind';

/** What becomes of one arrival. Everything but `reset-before` and `unavailable` applies it. */
export type Treatment =
  | { readonly kind: 'apply'; readonly delayMs?: number; readonly replyDelayMs?: number }
  | { readonly kind: 'hold-reply' }
  | { readonly kind: 'reset-before' }
  | { readonly kind: 'reset-after' }
  | { readonly kind: 'unavailable' };

/** One write that arrived, as the destination saw it: the truth in these tests. */
export type Arrival = {
  readonly case: string;
  readonly key: string;
  readonly attempt: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly args: JsonValue;
  outcome: 'arrived' | 'applied' | 'repeated' | 'refused' | 'not-applied';
};

export type Destination = {
  readonly url: string;
  /** Every write that arrived, in order. */
  readonly arrivals: readonly Arrival[];
  /** Every case that was read, in order. */
  readonly reads: readonly string[];
  readonly of: (name: string) => { readonly applied: number; readonly arrivals: number };
  /** Tells whether a write of the case has arrived and is not done yet. */
  readonly isBusyWith: (name: string) => boolean;
  /** Says what kind of destination a case is and what becomes of its next arrivals. Later ones are applied. */
  readonly expect: (name: string, kind: DestinationKind, ...treatments: readonly Treatment[]) => void;
  /** Breaks the connections whose reply is held. */
  readonly dropHeld: () => void;
  /** Refuses connections, as a destination that is down. */
  readonly goAway: () => Promise<void>;
  readonly comeBack: () => Promise<void>;
  readonly close: () => Promise<void>;
};

type State = {
  readonly kind: DestinationKind;
  readonly treatments: Treatment[];
  /** Results by key. */
  readonly done: Map<string, JsonValue>;
  /** By key the attempt that asked and was told `never`: what comes from an earlier one is refused. */
  readonly fences: Map<string, number>;
};

/** Starts a destination of writes on a free port. */
export async function startDestination(): Promise<Destination> {
  const arrivals: Arrival[] = [];
  const reads: string[] = [];
  const states = new Map<string, State>();
  const held = new Set<ServerResponse>();
  const stateOf = (name: string): State => {
    const state = states.get(name) ?? { kind: 'blind', treatments: [], done: new Map(), fences: new Map() };
    states.set(name, state);
    return state;
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '', 'http://destination');
    const [, action, name = '', key = ''] = url.pathname.split('/');
    if (action === 'read') {
      reads.push(name);
      await sleep(Number(url.searchParams.get('ms')));
      response.end(`read ${name}`);
    } else if (action === 'keys')
      answer(response, 200, reconcile(stateOf(name), key, Number(request.headers['attempt'])));
    else await receive(request, response, name, { state: stateOf(name), arrivals, held });
  };
  const open = (port: number) =>
    new Promise<ReturnType<typeof createServer>>((resolve) => {
      const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
        handle(request, response).catch(() => response.destroy());
      });
      server.listen(port, '127.0.0.1', () => resolve(server));
    });
  let server = await open(0);
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    url: `http://127.0.0.1:${port}`,
    arrivals,
    reads,
    of: (name) => {
      const own = arrivals.filter((arrival) => arrival.case === name);
      return { applied: own.filter(({ outcome }) => outcome === 'applied').length, arrivals: own.length };
    },
    isBusyWith: (name) => arrivals.some((arrival) => arrival.case === name && arrival.outcome === 'arrived'),
    expect: (name, kind, ...treatments) => {
      states.set(name, { kind, treatments: [...treatments], done: new Map(), fences: new Map() });
    },
    dropHeld: () => {
      for (const response of held) response.destroy();
      held.clear();
    },
    goAway: close,
    comeBack: async () => {
      server = await open(port);
    },
    close,
  };
}

async function receive(
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  { state, arrivals, held }: { state: State; arrivals: Arrival[]; held: Set<ServerResponse> },
): Promise<void> {
  const key = String(request.headers['idempotency-key']);
  const args = JSON.parse(await readText(request)) as JsonValue;
  const attempt = Number(request.headers['attempt']);
  const arrival: Arrival = { case: name, key, attempt, at: Date.now(), args, outcome: 'arrived' };
  arrivals.push(arrival);
  const treatment = state.treatments.shift() ?? { kind: 'apply' };
  if (treatment.kind === 'unavailable' || treatment.kind === 'reset-before') {
    arrival.outcome = 'not-applied';
    if (treatment.kind === 'unavailable') answer(response, 503, { error: 'away' });
    else request.socket.resetAndDestroy();
    return;
  }
  if (treatment.kind === 'apply') await sleep(treatment.delayMs ?? 0);
  const result = apply(state, arrival, arrivals.length);
  if (treatment.kind === 'reset-after') request.socket.resetAndDestroy();
  else if (treatment.kind === 'hold-reply') held.add(response);
  else {
    await sleep(treatment.replyDelayMs ?? 0);
    if (result === null) answer(response, 409, { error: 'a later attempt has asked about this key' });
    else answer(response, 200, result);
  }
}

/** Applies a write as the kind of destination does; null when it is refused. */
function apply(state: State, arrival: Arrival, serial: number): JsonValue | null {
  const first = state.done.get(arrival.key);
  if (state.kind === 'keyed' && first !== undefined) {
    arrival.outcome = 'repeated';
    return first;
  }
  if (arrival.attempt < (state.fences.get(arrival.key) ?? 0)) {
    arrival.outcome = 'refused';
    return null;
  }
  arrival.outcome = 'applied';
  const result = { payment: `p-${serial}` };
  state.done.set(arrival.key, result);
  return result;
}

function reconcile(state: State, key: string, attempt: number): JsonValue {
  if (state.kind !== 'reconcilable') return { kind: 'cannot-tell' };
  const result = state.done.get(key);
  if (result !== undefined) return { kind: 'done', result };
  state.fences.set(key, attempt);
  return { kind: 'never' };
}

function answer(response: ServerResponse, status: number, body: JsonValue): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
