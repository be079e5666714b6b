import { formatUsd } from '../../domain/model/price.ts';
import type { AccountRecord } from '../../stores/budget-reader.ts';
import type { HeldReservation } from '../../stores/held-reader.ts';
import { formatTable } from './table.ts';
import { formatCount, formatMoment } from './units.ts';

/** An account in JSON: money in pico-dollars as decimal strings, as everywhere. */
export type AccountData = ReturnType<typeof accountData>;

/** Makes what is shown of an account. */
export function accountData({
  capPico,
  capTokens,
  spentPico,
  spentTokens,
  heldPico,
  heldTokens,
  ...rest
}: AccountRecord) {
  return {
    ...rest,
    capPico: capPico?.toString() ?? null,
    capTokens: capTokens === null ? null : Number(capTokens),
    spentPico: String(spentPico),
    spentTokens: Number(spentTokens),
    heldPico: String(heldPico),
    heldTokens: Number(heldTokens),
  };
}

/** Lists accounts. */
export function formatAccounts(accounts: readonly AccountData[]): string {
  return formatTable(
    [
      { heading: 'account' },
      { heading: 'tenant' },
      { heading: 'spent USD', align: 'right' },
      { heading: 'held USD', align: 'right' },
      { heading: 'cap USD', align: 'right' },
      { heading: 'tokens', align: 'right' },
      { heading: 'cap', align: 'right' },
      { heading: 'per' },
      { heading: 'used' },
    ],
    accounts.map((account) => [
      nameOfAccount(account),
      account.tenant === '*' ? '' : account.tenant,
      formatUsd(BigInt(account.spentPico)),
      formatUsd(BigInt(account.heldPico)),
      account.capPico === null ? '' : formatUsd(BigInt(account.capPico)),
      (account.spentTokens + account.heldTokens).toLocaleString('en-US'),
      account.capTokens?.toLocaleString('en-US') ?? '',
      account.period,
      formatShare(account),
    ]),
  );
}

/** Says of a run's accounts what each has used of its caps, and what is held of it. */
export function formatBudgets(accounts: readonly AccountData[]): string {
  return accounts
    .map((account) => {
      const { capPico, capTokens, heldPico, period, endsAt } = account;
      const spent = `${formatUsd(BigInt(account.spentPico))}${capPico === null ? '' : ` of ${formatUsd(BigInt(capPico))}`} USD`;
      const tokens = `${account.spentTokens.toLocaleString('en-US')}${capTokens === null ? '' : ` of ${capTokens.toLocaleString('en-US')}`} tokens`;
      const held =
        heldPico === '0'
          ? ''
          : `, and holds ${formatUsd(BigInt(heldPico))} USD for calls that are at work or whose cost is not known`;
      const span = period === 'total' || endsAt === null ? '' : `, until ${formatMoment(endsAt)}`;
      return `Budget of ${nameOfAccount(account)}: ${formatShare(account)} used; it has spent ${spent} and ${tokens}${held}${span}`;
    })
    .join('\n');
}

/** Lists reservations of which nobody knows what they cost. */
export function formatHeld(reservations: readonly HeldReservation[]): string {
  return formatTable(
    [
      { heading: 'reservation' },
      { heading: 'run' },
      { heading: 'turn', align: 'right' },
      { heading: 'model' },
      { heading: 'at most USD', align: 'right' },
      { heading: 'tokens', align: 'right' },
      { heading: 'since' },
      { heading: 'run is' },
    ],
    reservations.map((each) => [
      each.id,
      each.runId,
      String(each.turn),
      each.model ?? '',
      formatUsd(each.worstPico),
      each.worstTokens.toLocaleString('en-US'),
      formatMoment(each.openedAt),
      each.hasEnded ? 'ended' : 'going on',
    ]),
  );
}

/** Adds up what is held. */
export function formatHeldSum(reservations: readonly HeldReservation[]): string {
  const pico = reservations.reduce((sum, { worstPico }) => sum + worstPico, 0n);
  const ended = reservations.filter(({ hasEnded }) => hasEnded).length;
  const of =
    ended === 0 ? '' : `, ${ended} of runs that have ended: they count on every account above until they are settled`;
  return `${formatCount(reservations.length, 'reservation')} ${reservations.length === 1 ? 'holds' : 'hold'} at most ${formatUsd(pico)} USD${of}`;
}

/** Names an account as a person types it. */
export function nameOfAccount({ kind, id }: Pick<AccountData, 'kind' | 'id'>): string {
  return kind === 'organisation' ? kind : `${kind} ${id}`;
}

/** Writes the larger share of the two caps, held money included. */
export function formatShare({ capPico, capTokens, ...used }: AccountData): string {
  const shares = [
    shareOf(capPico, BigInt(used.spentPico) + BigInt(used.heldPico)),
    shareOf(capTokens, BigInt(used.spentTokens + used.heldTokens)),
  ].flatMap((share) => share ?? []);
  return shares.length === 0 ? 'no cap' : `${shares.reduce((a, b) => (a > b ? a : b))} %`;
}

function shareOf(cap: string | number | null, amount: bigint): bigint | null {
  if (cap === null) return null;
  return BigInt(cap) === 0n ? 100n : (amount * 100n) / BigInt(cap);
}
