// Goal: a provider that caches prompts is charged for little more than what is new, also where the transcript is compacted.
// Method: a run on real servers against a local one that charges by the rules of Anthropic and of OpenAI. The slow tests have 400 turns.
import { describeCachedRun } from '../support/prompt-cache/long-run.ts';

describeCachedRun({ turns: 40, saidBytes: 200_000, timeoutMs: 120_000 });
