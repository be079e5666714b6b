import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Finds a file of the `temporal-config` folder, from the source tree and from the built package alike. */
export function temporalConfigPath(name: string): string {
  return fileURLToPath(new URL(`../../../temporal-config/${name}`, import.meta.url));
}

/** Reads a JSON object of the `temporal-config` folder. */
export function readTemporalConfig(name: string): Readonly<Record<string, unknown>> {
  return JSON.parse(readFileSync(temporalConfigPath(name), 'utf8')) as Record<string, unknown>;
}
