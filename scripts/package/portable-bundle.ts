import { realpathSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

const SOURCE_MAP = /(?<=\/\/# sourceMappingURL=data:application\/json;charset=utf-8;base64,)\S+/;

/** Rewrites a bundle's paths to be from the root of the repository, so that the package is the same wherever it is built. */
export function portableBundle(code: string, root: string): string {
  // Modules are named by their path from the folder of the build; node_modules may be a link.
  const modules = realpathSync(join(root, 'node_modules'));
  const ids = relative(root, modules).split(sep).join('/');
  const portable = ids === 'node_modules' ? code : code.replaceAll(`${ids}/`, './node_modules/');
  return portable.replace(SOURCE_MAP, (encoded) => {
    const map = JSON.parse(Buffer.from(encoded, 'base64').toString('utf8')) as { readonly sources: readonly string[] };
    const sources = map.sources.map((path) =>
      path.replaceAll(`${modules}/`, 'node_modules/').replaceAll(`${root}/`, ''),
    );
    return Buffer.from(JSON.stringify({ ...map, sources })).toString('base64');
  });
}
