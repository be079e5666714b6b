import { relative, sep } from 'node:path';
import type { RuleTester } from 'oxlint/plugins-dev';
import { findFault, findMisplacement, type Import } from './imports.ts';

const root = `${import.meta.dirname}${sep}..`;

// oxlint exports the types of a rule only through its tester.
type Create = NonNullable<Parameters<RuleTester['run']>[1]['create']>;
type Context = Parameters<Create>[0];
type Visitor = ReturnType<Create>;
type Node = Parameters<NonNullable<Visitor['CallExpression']>>[0]['arguments'][number];
type Ranged = NonNullable<Extract<Parameters<Context['report']>[0], { readonly node?: unknown }>['node']>;

/** The lint rules of this repository. oxlint loads a plugin by its default export. */
export default { meta: { name: 'perdure' }, rules: { layers: { create: checkImports } } };

/** Holds every form of import and re-export against the table of `layers.ts`. */
function checkImports(context: Context): Visitor {
  const file = relative(root, context.filename).replaceAll(sep, '/');
  const report = (node: Ranged, message: string | undefined): void => {
    if (message !== undefined) {
      context.report({ node, message });
    }
  };
  const judge = (node: Ranged, specifier: string | undefined, kind: Import['kind']): void => {
    report(node, findFault({ file, specifier, kind }));
  };
  return {
    Program: (node) => report(node, findMisplacement(file)),
    ImportDeclaration: (node) => judge(node.source, node.source.value, node.importKind ?? 'value'),
    ExportAllDeclaration: (node) => judge(node.source, node.source.value, node.exportKind ?? 'value'),
    ExportNamedDeclaration: (node) => node.source && judge(node.source, node.source.value, node.exportKind ?? 'value'),
    ImportExpression: (node) => judge(node.source, literalOf(node.source), 'value'),
    TSImportType: (node) => judge(node.source, node.source.value, 'type'),
    TSExternalModuleReference: (node) => judge(node.expression, node.expression.value, 'value'),
    CallExpression(node) {
      if (node.callee.type === 'Identifier' && node.callee.name === 'require') {
        judge(node, node.arguments[0] && literalOf(node.arguments[0]), 'value');
      }
    },
  };
}

function literalOf(node: Node): string | undefined {
  if (node.type === 'Literal' && typeof node.value === 'string') {
    return node.value;
  }
  const isPlainTemplate = node.type === 'TemplateLiteral' && node.expressions.length === 0;
  return isPlainTemplate ? (node.quasis[0]?.value.cooked ?? undefined) : undefined;
}
