import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { PRICE_TABLE } from '../src/domain/model/price-table.ts';
import { generateTables, SOURCE_VERSION } from './prices/generate-tables.ts';

/**
 * Writes the price table and the ways to read usage that are checked in (`npm run generate:prices`), from the data of the installed
 * package `@pydantic/genai-prices`. Data of the same version stays of its day: writing it again makes no price newer.
 */
const FOLDER = resolve(import.meta.dirname, '../src/domain/model');
const today = new Date().toISOString().slice(0, 10);
const day = PRICE_TABLE.version === SOURCE_VERSION ? PRICE_TABLE.fetchedAt : today;

for (const { file, text } of await generateTables(day)) {
  const path = resolve(FOLDER, file);
  writeFileSync(path, text);
  process.stdout.write(`${path}: ${Buffer.byteLength(text)} bytes, ${SOURCE_VERSION} of ${day}\n`);
}
