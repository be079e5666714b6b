import { readFiles } from './repository.ts';

/** A number with a name in the code. */
export type NamedBound = { readonly path: string; readonly name: string; readonly value: number };

/** Layers whose bounds the documents list. The development servers of the command line are left out: they bound nothing in production. */
const FOLDERS = ['activities', 'authoring', 'client', 'domain', 'runtime', 'stores', 'workers', 'workflows'];

/** Names of units, which bound nothing. */
const UNITS = ['SECOND_MS', 'DAY_MS', 'WEEK_MS'];

const DECLARATION =
  /^(?:export )?const ([A-Z][A-Z0-9_]*_(?:MAX|MS|MIN|SLOTS|AHEAD|PARTITIONS|BYTES)) ?(?::[^=]+)?= ([^;]+);/gm;

/** Finds the constants of modules that are bounds by their names, with their values. */
export function namedBounds(): readonly NamedBound[] {
  return FOLDERS.flatMap((folder) => readFiles(`src/${folder}`, '.ts')).flatMap(({ path, text }) =>
    [...text.matchAll(DECLARATION)].flatMap(([, name = '', expression = '']) => {
      const value = productOf(expression);
      return value === null || UNITS.includes(name) ? [] : [{ path, name, value }];
    }),
  );
}

/** Multiplies an expression out; null when it is anything else than a product of whole numbers. */
function productOf(expression: string): number | null {
  const factors = expression.replaceAll('_', '').split('*');
  if (!factors.every((factor) => /^\s*\d+\s*$/.test(factor))) return null;
  return factors.reduce((product, factor) => product * Number(factor), 1);
}
