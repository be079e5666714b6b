type Manifest = { readonly name: string; readonly exports: { readonly [path: string]: Target } };
type Target = string | { readonly types: string; readonly default: string };

/** One thing that users import: what they write, and the files behind it. */
export type Exported = {
  /** `perdure/client`. */
  readonly specifier: string;
  /** Path of the source, from the root of the repository. */
  readonly source: string;
  readonly types: string;
  readonly code: string;
};

/** Lists the modules of a package by its `exports`; `package.json` is no module. */
export function exportedSources({ name, exports }: Manifest): readonly Exported[] {
  return Object.entries(exports).flatMap(([path, target]) =>
    typeof target === 'string'
      ? []
      : [
          {
            specifier: `${name}${path.slice(1)}`,
            source: target.default.replace(/^\.\/dist\/(.*)\.js$/, 'src/$1.ts'),
            types: target.types,
            code: target.default,
          },
        ],
  );
}
