// A process that reserves, calls and settles for some runs at once until their account bears no more. Its parent kills it at any moment.
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../../../src/stores/database.ts';
import { createStores } from '../../../src/stores/stores.ts';
import { newObservation, randomId } from '../../activities/stores/support.ts';

/** Times that a run asks again while calls under way hold the rest. */
const ASKED_AGAIN_MAX = 40;

const [url = '', provider = '', tenant = '', worst = '0', ...runs] = process.argv.slice(2);
const { modelCalls } = createStores(openDatabase(url, () => undefined));

async function callOn(runId: string): Promise<void> {
  for (let turn = 1, asked = 0; asked < ASKED_AGAIN_MAX;) {
    const id = randomId('reservation');
    const reservation = { id, worstPico: BigInt(worst), worstTokens: 1, unusableMax: 1e6, unansweredMax: 1e6 };
    const reserved = await modelCalls.reserve(tenant, reservation, newObservation(runId, turn, 'model'));
    if (reserved.kind !== 'reserved') {
      asked += 1;
      await sleep(10);
      continue;
    }
    const response = await fetch(`${provider}/${id}`, { method: 'POST' });
    const charge = { kind: 'settled', costPico: BigInt(await response.text()), tokens: 1 } as const;
    const attempt = { runId, turn, reservationId: id, observation: reserved.observation };
    await modelCalls.settle(tenant, attempt, charge, { outcome: 'replied' }, null);
    turn += 1;
  }
}

await Promise.all(runs.map(callOn));
process.exit(0);
