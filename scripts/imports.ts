import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { layers, type Entry, type Layer, type LayerName } from './layers.ts';

export interface Import {
  /** The importing file, from the repository's root, with forward slashes. */
  readonly file: string;
  /** What stands between the quotes; `undefined` where it is computed. */
  readonly specifier: string | undefined;
  /** `type` where the import is erased: `import type`, `export type`, `import('x').T`. */
  readonly kind: 'value' | 'type';
}

/** What a specifier names. `other` is what no row can allow: absolute paths, addresses, `#` aliases. */
type Target =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'node-module'; readonly specifier: string }
  | { readonly kind: 'package'; readonly specifier: string }
  | { readonly kind: 'other'; readonly specifier: string };

const TABLE = 'scripts/layers.ts';
const PACKAGE_SPECIFIER = /^(?:@[\w.-]+\/)?\w[\w.-]*(?:\/[^:]*)?$/u;
const deepestFirst = (Object.keys(layers) as LayerName[]).toSorted(
  (a, b) => layers[b].folder.length - layers[a].folder.length,
);

/**
 * Judges one import against the table of `layers.ts`.
 *
 * @returns what is wrong and what to do about it, or `undefined` where the import is allowed.
 */
export function findFault({ file, specifier, kind }: Import): string | undefined {
  const from = layerOf(file);
  if (from === undefined) {
    return undefined;
  }
  const layer = layers[from];
  if (specifier === undefined) {
    return layer.importsByPath ? undefined : `${from} may import literal paths only, so that ${TABLE} can judge them.`;
  }
  const target = targetOf(file, specifier);
  if (isOwn(from, target) || allows(layer.values, target)) {
    return undefined;
  }
  const hasTypes = allows(layer.types, target);
  if (hasTypes && kind === 'type') {
    return undefined;
  }
  const fault = hasTypes
    ? `may use only types of ${print(target)}: write \`import type\`.`
    : `may not use ${print(target)}.`;
  return `${from} ${fault} ${layer.advice} ${printRow(layer)}`;
}

/** Judges where a file lies: every file of src belongs to a layer. */
export function findMisplacement(file: string): string | undefined {
  const isMisplaced = isUnder(file, 'src') && layerOf(file) === undefined;
  return isMisplaced ? `${file} is in no layer: move it, or give its folder a row in ${TABLE}.` : undefined;
}

/** Names the layer of a file, or `undefined` outside all of them. */
function layerOf(file: string): LayerName | undefined {
  return deepestFirst.find((name) => isUnder(file, layers[name].folder));
}

function targetOf(file: string, specifier: string): Target {
  if (/^\.\.?(?:\/|$)/u.test(specifier)) {
    return { kind: 'file', path: posix.join(posix.dirname(file), specifier) };
  }
  if (isBuiltin(specifier)) {
    return { kind: 'node-module', specifier: specifier.startsWith('node:') ? specifier : `node:${specifier}` };
  }
  return { kind: PACKAGE_SPECIFIER.test(specifier) ? 'package' : 'other', specifier };
}

function isOwn(from: LayerName, target: Target): boolean {
  return target.kind === 'file' && layerOf(target.path) === from;
}

function allows(entries: readonly Entry[], target: Target): boolean {
  return entries.some((entry) => isMatch(entry, target));
}

function isMatch(entry: Entry, target: Target): boolean {
  switch (target.kind) {
    case 'file':
      return layerOf(target.path) === entry || fits(entry, target.path);
    case 'node-module':
      return entry === 'any package' || fits(entry, target.specifier);
    case 'package':
      return entry === 'any package' || (!isLayer(entry) && isOfPackage(entry, target.specifier));
    case 'other':
      return false;
  }
}

function isLayer(entry: Entry): boolean {
  return Object.hasOwn(layers, entry);
}

function isOfPackage(name: string, specifier: string): boolean {
  return fits(name, specifier) || isUnder(specifier, name);
}

/** Compares with an entry that may hold one `*`. */
function fits(entry: string, text: string): boolean {
  const [start = '', end] = entry.split('*');
  return end === undefined ? text === entry : text.startsWith(start) && text.endsWith(end);
}

function isUnder(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

function print(target: Target): string {
  return target.kind === 'file' ? (layerOf(target.path) ?? target.path) : target.specifier;
}

function printRow({ values, types }: Layer): string {
  const rest = types.length === 0 ? '' : `; only types of ${types.join(', ')}`;
  return `Allowed: ${values.length === 0 ? 'itself' : values.join(', ')}${rest} (${TABLE}).`;
}
