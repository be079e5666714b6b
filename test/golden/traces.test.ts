/**
 * Goal: what a run decides can be read, input by input, and changes only on purpose.
 * Method: plays each script under `traces/`, prints decisions and state changes, and compares them with the text beneath each input.
 * `REWRITE=1` writes what was printed.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { play } from './play.ts';
import { formatSections, parseSections } from './sections.ts';

const FOLDER = join(import.meta.dirname, 'traces');

describe('golden traces', () => {
  for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.txt'))) {
    it(`decides as before: ${file.replace('.txt', '').replaceAll('-', ' ')}`, () => {
      const path = join(FOLDER, file);
      const text = readFileSync(path, 'utf8');
      const printed = formatSections(play(parseSections(text)));
      if (process.env['REWRITE'] === '1') writeFileSync(path, printed);
      else assert.equal(printed, text);
    });
  }
});
