// Goal: a provider that caches prompts is charged for little more than what is new, also where the transcript is compacted.
// Method: a run on real servers against a local one that charges by the rules of Anthropic and of OpenAI. The slow tests have 400 turns.
import { describeCachedRun } from '../support/prompt-cache/long-run.ts';

// A context that is filled every ten turns costs a quarter more.
describeCachedRun({ turns: 40, saidBytes: 200_000, bareRatioMax: 1.25, timeoutMs: 120_000 });
