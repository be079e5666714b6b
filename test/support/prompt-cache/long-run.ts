import assert from 'node:assert/strict';
import { z } from 'zod';
import { type Agent, defineTool } from '../../../src/authoring/index.ts';
import type { RunEnd } from '../../../src/domain/run/run-end.ts';
import { createRunReader } from '../../../src/stores/run-reader.ts';
import { type Platform, startPlatform } from '../workflow/platform.ts';
import { testAgent } from '../workflow/test-agent.ts';
import { type CachingServer, type ModelTurn, startCachingServer } from './caching-server.ts';
import { costOverBound, formatCosts, WEIGHTS } from './cost-over-bound.ts';

/** Tokens of prompt and reply together: less than the run says. */
const CONTEXT_TOKENS = 32_000;

/** A turn with so many calls has more blocks than a provider looks back over. */
const MANY_CALLS = 24;

/** What was charged may be so much over the least that any policy must pay. One mark, at the end alone, comes to 1.15. */
const RATIO_MAX = 1.1;

const MODELS = { anthropic: 'anthropic:claude-sonnet-4-5', openai: 'openai:gpt-4.1' } as const;

/** Reads a page of so many bytes; pages differ. */
const PAGE = defineTool({
  name: 'readPage',
  version: '1.0.0',
  description: 'Reads a page of the archive.',
  // Not in the order of the alphabet: the model writes arguments so, and every worker must repeat them alike.
  input: z.object({
    shelf: z.string(),
    page: z.number(),
    bytes: z.number(),
    asked: z.object({ why: z.string(), by: z.string() }),
  }),
  output: z.string(),
  effect: 'read',
  owner: 'tests',
  run: async ({ shelf, page, bytes }) =>
    `Page ${page} of ${shelf}. `.padEnd(bytes, `It is said on page ${page} that all is well. `),
});

export type CachedRun = {
  readonly turns: number;
  /** What its tools say in all. */
  readonly saidBytes: number;
  /** What was charged may be so much over the least that the turns would cost if compaction were for nothing. */
  readonly bareRatioMax: number;
  readonly timeoutMs: number;
};

/**
 * Describes a run of many turns on a provider that caches prompts: on a real Temporal server, through the real activities, with a context that must be compacted.
 */
export function describeCachedRun({ turns, saidBytes, bareRatioMax, timeoutMs }: CachedRun): void {
  for (const wire of ['anthropic', 'openai'] as const) {
    describe(`a run of ${turns} turns on a provider that caches as ${wire} does`, () => {
      let server: CachingServer;
      let platform: Platform;
      let end: RunEnd;
      let id: string;

      before(async function () {
        this.timeout(timeoutMs);
        server = await startCachingServer((turn) => play(turn, turns, saidBytes));
        platform = await startPlatform({ agents: [archivist(wire)], env: environmentOf(server) });
        const handle = await platform.start('archivist', 'Read the archive, page by page.');
        id = handle.workflowId;
        end = await handle.result();
      });
      after(async () => {
        await platform?.close();
        await server?.close();
      });

      it(`charges at most ${RATIO_MAX} times what any policy must pay`, () => {
        assert.deepEqual([end.outcome, end.turns, server.refused], [{ kind: 'completed' }, turns, []]);
        const marks = [10, 40, 100, 200, 400].filter((mark) => mark <= turns);
        const rows = marks.map((mark) => costOverBound(server.requests, mark, WEIGHTS[wire]));
        console.log(formatCosts(`${wire}: input tokens, weighted by price`, rows));
        const last = rows.at(-1) ?? assert.fail('no rows');
        assert.ok(last.ratio >= 1 && last.ratio <= RATIO_MAX, `${last.charged} charged, ${last.bound} had to be`);
        assert.ok(last.bareRatio <= bareRatioMax, `${last.charged} charged, ${last.bare} without compaction`);
      });

      it('was compacted, and made no more tokens new again than were said', () => {
        const { rewritten, summaries } = costOverBound(server.requests, turns, WEIGHTS[wire]);
        assert.ok(server.requests.filter(({ isSummary }) => isSummary).length >= 2, 'it was compacted several times');
        const said = saidBytes / 4;
        assert.ok(rewritten > 0 && rewritten <= said * 1.2, `${rewritten} tokens anew of ${said}`);
        assert.ok(summaries <= said * 0.2, `${summaries} tokens anew for summaries of ${said}`);
      });

      it('writes down what the provider charged, by kind', async () => {
        const receipt =
          (await createRunReader(platform.stores).receipt(platform.tenant, id)) ?? assert.fail('no receipt');
        const calls = receipt.attempts.filter(({ kind }) => kind !== 'tool');
        const sum = (pick: (call: (typeof calls)[number]) => number | null): number =>
          calls.reduce((all, call) => all + (pick(call) ?? 0), 0);
        const { fresh, written, read } = costOverBound(server.requests, turns, WEIGHTS[wire]);
        assert.deepEqual(
          [sum((call) => call.inputTokens), sum((call) => call.cacheReadTokens), sum((call) => call.cacheWriteTokens)],
          [fresh + written + read, read, written],
        );
      });
    });
  }
}

/** Reads some pages a turn, and at the end says so. One turn in twenty reads more pages than a provider looks back over. */
function play(turn: number, turns: number, saidBytes: number): ModelTurn {
  if (turn >= turns) return { text: 'All is well.' };
  const count = turn % 20 === 10 ? MANY_CALLS : 1 + (turn % 2);
  const bytes = Math.floor(saidBytes / turns / count);
  const pages = Array.from({ length: count }, (_, index) => turn * 100 + index);
  return {
    text: `Turn ${turn}: I go on.`,
    toolCalls: pages.map((page) => ({
      id: `toolu_${page}`,
      name: 'readPage',
      input: { shelf: `shelf ${turn}`, page, bytes, asked: { why: 'to know', by: 'the reader' } },
    })),
  };
}

function archivist(wire: keyof typeof MODELS): Agent {
  return testAgent('archivist', {
    models: { standard: { id: MODELS[wire], outputTokensMax: 1_000, contextTokensMax: CONTEXT_TOKENS } },
    requirements: { latencyP95Ms: 3_600_000, costPerRunUsd: 10_000 },
    instructions: 'You keep an archive and read it with care. '.repeat(120),
    limits: { turns: 2_000, toolCalls: 20_000, tokens: 1e12 },
    tools: [PAGE],
  });
}

function environmentOf(server: CachingServer): Record<string, string> {
  return {
    ANTHROPIC_BASE_URL: server.url,
    ANTHROPIC_API_KEY: 'sk-test',
    PERDURE_MODEL_BASE_URL: server.url,
    OPENAI_API_KEY: 'sk-test',
    PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
  };
}
