// Goal: over 400 turns a provider that caches prompts is charged for at most 1.1 times what any policy must pay, and 1.2 times what the turns would cost without
// compaction.
// Method: the run of `test/workflow/prompt-cache.test.ts`, at its full length.
import { describeCachedRun } from '../support/prompt-cache/long-run.ts';

describeCachedRun({ turns: 400, saidBytes: 700_000, bareRatioMax: 1.2, timeoutMs: 900_000 });
