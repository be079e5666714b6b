import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import proto from '@temporalio/proto';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { LIMITS } from '../../src/domain/run/limits.ts';
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
      const { events: lines } = JSON.parse(historyToJSON(history)) as { readonly events: readonly object[] };
      const text = `{"events":[\n${lines.map((line) => JSON.stringify(line, withoutStacks)).join(',\n')}\n]}\n`;
      writeFileSync(join(folder, executions.length === 1 ? `${name}.json` : `${name}-${index + 1}.json`), text);
    }
    console.log(`${name}: ${executions.map((events) => `${events.length} events`).join(', ')}`);
  }
  await platform.close();
}

/** Stacks hold the paths of this machine, and a replay does not read them. */
function withoutStacks(key: string, value: unknown): unknown {
  return key === 'stackTrace' ? '' : value;
}

await record(process.argv.slice(2));
process.exit(0);
