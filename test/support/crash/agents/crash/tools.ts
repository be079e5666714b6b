import { z } from 'zod';
import {
  defineTool,
  type Reconciliation,
  type ToolContext,
  ToolUnreachable,
} from '../../../../../src/authoring/index.ts';

/** Send deadline of the writes: above the heartbeat timeout of 2 s, and short, because the tests wait for it to pass. */
const SEND_MS = 3_000;

const input = z.object({ case: z.string(), amount: z.number() });
const output = z.object({ payment: z.string() });
type Payment = z.infer<typeof output>;
type Arguments = z.infer<typeof input>;

const common = {
  version: '1.0.0',
  input,
  output,
  effect: 'write',
  owner: 'tests',
  secrets: ['DESTINATION_URL'],
  timeoutMs: SEND_MS,
} as const;

/** The destination gives the first result again for a key that it has seen. */
export const payKeyed = defineTool({
  ...common,
  name: 'payKeyed',
  description: 'Pays at a destination that honours keys.',
  idempotencyKey: { destination: true },
  run: pay,
});

/** The destination knows what became of a key, and after `never` it refuses what comes from an earlier attempt. */
export const payReconcilable = defineTool({
  ...common,
  name: 'payReconcilable',
  description: 'Pays at a destination that can be asked.',
  reconcile,
  run: pay,
});

/** The destination can be asked, and has to say that it cannot tell. */
export const payUncertain = defineTool({
  ...common,
  name: 'payUncertain',
  description: 'Pays at a destination that cannot tell.',
  reconcile,
  run: pay,
});

/** The destination knows nothing of keys. */
export const payBlind = defineTool({ ...common, name: 'payBlind', description: 'Pays.', run: pay });

/** Like `payBlind`, with a deadline so long that a frozen worker may wake before it. */
export const payPatiently = defineTool({
  ...common,
  name: 'payPatiently',
  description: 'Pays, slowly.',
  timeoutMs: 15_000,
  run: pay,
});

/** Pays once for a case, whichever run asks. */
export const payOnce = defineTool({
  ...common,
  name: 'payOnce',
  description: 'Pays a case once across runs.',
  idempotencyKey: { destination: false, businessKey: (args) => args.case },
  run: pay,
});

/** Begins at a destination that honours keys what gives its result later. */
export const orderKeyed = defineTool({
  ...common,
  name: 'orderKeyed',
  description: 'Orders; the result comes later.',
  idempotencyKey: { destination: true },
  deferred: { timeoutMs: 3_600_000 },
  run: async (args, context) => (await pay(args, context)).payment,
});

const readInput = z.object({ case: z.string(), ms: z.number() });
const readOutput = z.object({ read: z.string() });

/** Reads at the destination, which takes `ms` for it. */
export const lookUp = defineTool({
  name: 'lookUp',
  version: '1.0.0',
  description: 'Reads.',
  input: readInput,
  output: readOutput,
  effect: 'read',
  owner: 'tests',
  secrets: ['DESTINATION_URL'],
  timeoutMs: 5_000,
  run: async (args, context) => {
    const url = `${context.secret('DESTINATION_URL')}/read/${args.case}?ms=${args.ms}`;
    const response = await fetch(url, { signal: context.signal });
    return { read: await response.text() };
  },
});

/** Begins with a read, which takes `ms`, what gives its result later. */
export const beginReading = defineTool({
  name: 'beginReading',
  version: '1.0.0',
  description: 'Reads; the result comes later.',
  input: readInput,
  output: readOutput,
  effect: 'read',
  owner: 'tests',
  secrets: ['DESTINATION_URL'],
  timeoutMs: 20_000,
  deferred: { timeoutMs: 3_600_000 },
  run: async (args, context) => {
    const url = `${context.secret('DESTINATION_URL')}/read/${args.case}?ms=${args.ms}`;
    await fetch(url, { signal: context.signal });
  },
});

let blocker: NodeJS.Timeout | null = null;

/** Works for `ms` in a process whose event loop is blocked for 300 ms again and again. */
export const lookUpSlowly = defineTool({
  name: 'lookUpSlowly',
  version: '1.0.0',
  description: 'Reads, in a process that is too busy.',
  input: readInput,
  output: readOutput,
  effect: 'read',
  owner: 'tests',
  timeoutMs: 9_000,
  run: async (args) => {
    blocker ??= setInterval(blockEventLoop, 350).unref();
    await new Promise((resolve) => setTimeout(resolve, args.ms));
    return { read: args.case };
  },
});

function blockEventLoop(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
}

async function pay(args: Arguments, context: ToolContext): Promise<Payment> {
  const response = await fetch(`${context.secret('DESTINATION_URL')}/pay/${args.case}`, {
    method: 'POST',
    headers: { ...headersOf(context), 'content-type': 'application/json' },
    body: JSON.stringify(args),
    signal: context.signal,
  }).catch((error: unknown) => {
    if (isRefusedConnection(error)) throw new ToolUnreachable('the destination is away', { cause: error });
    throw error;
  });
  if (!response.ok) throw new Error(`the destination answered ${response.status}`);
  return (await response.json()) as Payment;
}

async function reconcile(key: string, args: Arguments, context: ToolContext): Promise<Reconciliation<Payment>> {
  const url = `${context.secret('DESTINATION_URL')}/keys/${args.case}/${key}`;
  const response = await fetch(url, { headers: headersOf(context), signal: context.signal });
  if (!response.ok) throw new Error(`the destination answered ${response.status}`);
  return (await response.json()) as Reconciliation<Payment>;
}

function isRefusedConnection(error: unknown): boolean {
  return ((error as Error).cause as { code?: string } | undefined)?.code === 'ECONNREFUSED';
}

/** The attempt fences: a destination that has answered `never` to one attempt refuses the arrivals of those before. */
function headersOf({ idempotencyKey, attempt }: ToolContext): Record<string, string> {
  return { 'idempotency-key': idempotencyKey, attempt: String(attempt) };
}
