import { type Command, InvalidArgumentError } from 'commander';
import { UPPER_KINDS, type UpperKind } from '../domain/policy/budget.ts';
import { type AccountKey, NO_TENANT, ORGANISATION } from '../stores/budget-chain.ts';
import { TENANT } from '../domain/schemas/start-options.ts';
import { textProblem } from '../domain/text-problem.ts';
import { CommandError, EXIT } from './exit.ts';
import type { OpenRuns } from './open-runs.ts';
import { spellCommand } from './spell-command.ts';
import { suggest } from './suggest.ts';

/** An account as a person names it. */
export type NamedAccount = { readonly kind: string; readonly id: string | undefined; readonly tenant: string };

/** Tenant of people and conversations where none is named, as for runs. */
const DEFAULT_TENANT = 'default';

/** Adds the arguments that name an account. */
export function addAccountArguments(command: Command, isOptional: 'optional' | 'required'): Command {
  const [open, close] = isOptional === 'optional' ? ['[', ']'] : ['<', '>'];
  return command
    .argument(`${open}kind${close}`, UPPER_KINDS.join(', '))
    .argument(
      '[id]',
      'name of the tenant or the agent; of a user the subject or principal; of a conversation the id of one of its runs; none for the organisation',
    )
    .option('--tenant <tenant>', 'tenant of a user or a conversation', DEFAULT_TENANT);
}

/**
 * Finds the account that a person named. A person's name becomes the HMAC under which the account is kept.
 *
 * @throws CommandError
 */
export async function findAccount(runs: OpenRuns, { kind, id, tenant }: NamedAccount): Promise<AccountKey> {
  const known = readKind(kind);
  if (known === 'organisation') {
    if (id !== undefined && id !== ORGANISATION) {
      throw new CommandError(EXIT.usage, 'there is one organisation, and it has no name: leave it out');
    }
    return { tenant: NO_TENANT, kind: known, id: ORGANISATION };
  }
  if (id === undefined || id === '') throw new CommandError(EXIT.usage, `name the ${known}: budget ... ${known} ID`);
  readText(known, id);
  readTenant(known === 'tenant' ? id : tenant);
  switch (known) {
    case 'tenant':
      return { tenant: id, kind: known, id };
    case 'agent':
      return { tenant: NO_TENANT, kind: known, id };
    case 'user':
      return { tenant, kind: known, id: await personId(runs, tenant, id) };
    case 'conversation':
      return findConversation(runs, id);
  }
}

/**
 * Reads words of a person that the audit keeps.
 *
 * @throws CommandError
 */
export function readText(option: string, text: string): string {
  const problem = textProblem(option, text);
  if (problem !== null) throw new CommandError(EXIT.usage, problem);
  return text;
}

/**
 * Reads the kind of an account.
 *
 * @throws CommandError
 */
export function readKind(kind: string): UpperKind {
  const found = UPPER_KINDS.find((known) => known === kind);
  if (found !== undefined) return found;
  if (kind === 'run') {
    throw new CommandError(
      EXIT.usage,
      `a run has its cap from its agent: see it with ${spellCommand('run show ID')}, raise it with ${spellCommand('run top-up ID --usd 0.10')}`,
    );
  }
  const meant = suggest(kind, UPPER_KINDS);
  const hint = meant === null ? `; the kinds are ${UPPER_KINDS.join(', ')}` : `; did you mean ${meant}?`;
  throw new CommandError(EXIT.usage, `there are no budgets of kind ${JSON.stringify(kind)}${hint}`);
}

function readTenant(tenant: string): void {
  if (TENANT.test(tenant)) return;
  const expected = 'a tenant is 1 to 64 letters, digits, dots, dashes or underscores';
  throw new CommandError(EXIT.usage, `${expected}, got ${JSON.stringify(tenant)}`);
}

/** What the platform itself says of a person is the HMAC: it may be given back as it is. */
async function personId({ stores }: OpenRuns, tenant: string, name: string): Promise<string> {
  const [stored] = /^s-[\w-]{22}$/.test(name) ? await stores.budgets.list(tenant, { kind: 'user', id: name }) : [];
  return stored === undefined ? stores.scopes.subjectScope(tenant, name) : name;
}

async function findConversation({ reader, stores }: OpenRuns, runId: string): Promise<AccountKey> {
  const tenant = await reader.findTenant(runId);
  const accounts = tenant === null ? null : await stores.budgets.accountsOf(tenant, runId);
  if (tenant === null || accounts === null || accounts.conversation === null) {
    throw new CommandError(
      EXIT.notFound,
      `there is no run ${runId} of a conversation; ${spellCommand('run ls')} lists the newest runs`,
    );
  }
  return { tenant, kind: 'conversation', id: accounts.conversation };
}

/** Reads a number of tokens. */
export function parseTokens(text: string): number {
  const tokens = Number(text);
  if (Number.isSafeInteger(tokens) && tokens > 0) return tokens;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
