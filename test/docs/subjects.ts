import { sql } from 'kysely';
import type { Ended } from '../cli/captured-cli.ts';
import type { Platform, until } from '../client/platform.ts';

/** Puts what a command needs in place of the capital words of its page. */
export type Subjects = { readonly fill: (words: readonly string[]) => Promise<readonly string[]> };

type Perdure = (...parameters: readonly string[]) => Promise<Ended>;

const LOOK_UP = 'Where is my order A-1090? I am Liam Murphy.';
const REFUND = 'I am Jonas Weber, jonas.weber@example.com. Please refund my order A-1044, the desk is broken.';

/** Makes runs, approvals and effects for commands that change one; each command gets its own. */
export function createSubjects(platform: Platform, perdure: Perdure, untilTrue: typeof until): Subjects {
  const start = async (agent: string, ...parameters: readonly string[]): Promise<string> => {
    const { out, said, exitCode } = await perdure('run', 'start', agent, ...parameters, '--json');
    if (exitCode !== 0) throw new Error(said);
    return (JSON.parse(out) as { id: string }).id;
  };
  const phaseOf = async (id: string): Promise<string | undefined> => (await platform.reader.run('default', id))?.phase;
  const runIn = async (phase: string, ...parameters: readonly [string, ...string[]]): Promise<string> => {
    const id = await start(...parameters);
    await untilTrue(async () => (await phaseOf(id)) === phase, `run ${id} ${phase}`);
    return id;
  };
  const ended = (): Promise<string> => runIn('ended', 'support', LOOK_UP);
  const conversation = (): Promise<string> => runIn('waiting', 'support', 'I want a refund.', '--conversation');
  let asked: string | null = null;
  const asking = async (): Promise<string> => {
    // An order that the command before has refunded is not asked about again.
    const before = asked;
    if (before !== null) await untilTrue(async () => (await phaseOf(before)) === 'ended', `run ${before} ended`);
    await sql`delete from shop.refunds where order_id = 'A-1044'`.execute(platform.stores.db).catch(() => undefined);
    asked = await runIn('waiting', 'support', REFUND);
    return asked;
  };
  const token = async (): Promise<string> => {
    const agentRunId = await runIn('waiting', 'quotes', 'A price, please.');
    const [call] = await platform.reader.deferredCalls('default', { agentRunId });
    return call?.token ?? '';
  };
  const model = async (): Promise<string> => {
    const id = `openai:mended-${Math.random().toString(36).slice(2)}`;
    const row = { model: id, server: '', status: 'open' as const, state: '{}' };
    await platform.stores.db.insertInto('model_breakers').values(row).execute();
    return id;
  };
  const unknownEffect = async (): Promise<string> => {
    const key = `unknown-${Math.random().toString(36).slice(2)}`;
    await insertUnknownEffect(platform, await ended(), key);
    return key;
  };
  const subjectOf = (words: readonly string[]): Promise<string> => {
    const [noun, verb] = words;
    if (noun === 'approve') return asking();
    if (noun === 'budget') return conversation();
    if (words.includes('--from-turn')) return ended();
    if (noun === 'run' && !['show', 'tail', 'ls'].includes(verb ?? '')) return conversation();
    return ended();
  };
  return {
    fill: async (words) => {
      const filled: string[] = [];
      for (const word of words) {
        if (word === 'ID') filled.push(await subjectOf(words));
        else if (word === 'TOKEN') filled.push(await token());
        else if (word === 'MODEL') filled.push(await model());
        else if (word === 'KEY') filled.push(await unknownEffect());
        else if (word === 'RESERVATION') filled.push(await heldReservation(platform, await ended()));
        else filled.push(word === '…' ? LOOK_UP : word);
      }
      return filled;
    },
  };
}

/** Leaves of an ended run what a call without an answer leaves. */
async function heldReservation({ stores: { db } }: Platform, runId: string): Promise<string> {
  const id = `held-${Math.random().toString(36).slice(2)}`;
  const [worst_pico, worst_tokens] = ['1000000000', '1000'];
  await db
    .insertInto('budget_reservations')
    .values({
      tenant: 'default',
      id,
      run_id: runId,
      turn: 1,
      summary_key: null,
      state: 'held',
      worst_pico,
      worst_tokens,
    })
    .execute();
  await db
    .updateTable('budget_accounts')
    .set({ held_pico: worst_pico, held_tokens: worst_tokens })
    .where('tenant', '=', 'default')
    .where('kind', '=', 'run')
    .where('id', '=', runId)
    .execute();
  return id;
}

async function insertUnknownEffect({ stores }: Platform, runId: string, key: string): Promise<void> {
  await stores.db
    .insertInto('effects')
    .values({
      tenant: 'default',
      key,
      root: runId,
      run_id: runId,
      turn: 1,
      call_index: 0,
      tool: 'refundOrder',
      contract: 'contract',
      args_hash: 'hash',
      state: 'unknown',
      attempt: 1,
      send_deadline: new Date(),
      ref: null,
      settled_at: null,
    })
    .execute();
}
