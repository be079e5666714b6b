import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { generateTables } from './prices/generate-tables.ts';

/**
 * Writes the price table and the ways to read usage that are checked in (`npm run generate:prices`), from the data of the installed
 * package `@pydantic/genai-prices`. Tables that are the same but for their day stay as they are.
 */
const FOLDER = resolve(import.meta.dirname, '../src/domain/model');
const today = new Date().toISOString().slice(0, 10);

for (const { file, text } of await generateTables(process.argv[2] ?? today)) {
  const path = resolve(FOLDER, file);
  writeFileSync(path, text);
  process.stdout.write(`${path}: ${readFileSync(path).length} bytes\n`);
}
