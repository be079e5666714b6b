import { cacheShareOf } from '../../domain/run/cache-share.ts';
import { addUp } from '../../domain/run/receipt.ts';
import { type CommandContext, type CommonOptions, endWith, printData } from '../command.ts';
import { CommandError, EXIT } from '../exit.ts';
import { findRunTenant } from '../find-run.ts';
import { formatReceipt, type ReceiptView } from '../format/receipt.ts';
import type { OpenRuns } from '../open-runs.ts';
import { countTemporalActions } from '../receipt/temporal-actions.ts';

/** Shows what every attempt of a run cost, and ends with 1 when the rows do not add up. */
export async function showReceipt(
  context: CommandContext,
  runs: OpenRuns,
  id: string,
  options: CommonOptions,
): Promise<void> {
  const tenant = await findRunTenant(runs, id);
  const receipt = tenant === null ? null : await runs.reader.receipt(tenant, id);
  if (receipt === null) throw new CommandError(EXIT.notFound, `run ${id} was not admitted yet, so it has no receipt`);
  const { run, account, attempts } = receipt;
  const endCostPico = run.end?.costPico ?? null;
  const view: ReceiptView = {
    ...receipt,
    cache: cacheShareOf(attempts),
    sums: addUp({ runId: id, endCostPico, account, attempts }),
    temporal: await countTemporalActions(runs, id, run.createdAt),
  };
  const addsUp = view.sums.differences.length === 0;
  printData(context, options, { addsUp, ...view }, () => formatReceipt(view));
  if (!addsUp) endWith(context, EXIT.failed);
}
