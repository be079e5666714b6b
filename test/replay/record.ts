import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { LIMITS } from '../../src/domain/run/limits.ts';
import { historyText } from '../../src/testing/record-history.ts';
import { readExecutions } from '../support/workflow/history.ts';
import { startPlatform } from '../support/workflow/platform.ts';
import { SHAPES, shapesSetup } from './shapes.ts';

const folder = join(import.meta.dirname, 'histories');

/**
 * Records one run of every shape (`npm run record:histories`, with the names of some to record only them): one file per execution, one
 * line per event.
 */
async function record(names: readonly string[]): Promise<void> {
  mkdirSync(folder, { recursive: true });
  // Trouble that outlasts the retries shall not take a minute here.
  (LIMITS as { retryMs: number }).retryMs = 300;
  const platform = await startPlatform(shapesSetup());
  for (const [name, drive] of Object.entries(SHAPES)) {
    if (names.length > 0 && !names.includes(name)) continue;
    const executions = await readExecutions(platform, await drive(platform));
    for (const file of readdirSync(folder)) {
      if (file === `${name}.json` || new RegExp(`^${name}-\\d+\\.json$`).test(file)) rmSync(join(folder, file));
    }
    for (const [index, events] of executions.entries()) {
      const history = proto.temporal.api.history.v1.History.create({ events });
      writeFileSync(
        join(folder, executions.length === 1 ? `${name}.json` : `${name}-${index + 1}.json`),
        historyText(history),
      );
    }
    console.log(`${name}: ${executions.map((events) => `${events.length} events`).join(', ')}`);
  }
  await platform.close();
}

await record(process.argv.slice(2));
process.exit(0);
