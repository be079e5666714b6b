/**
 * Goal: every question of the dataset gets an answer whose citations and quotations are in this project's documents, or an honest no.
 * Method: the rehearsal and the real tools on the repository's own documents, which are then read again without the tools.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { agent } from '../../../agents/research/agent.ts';
import { ungroundedClaims } from '../../../src/domain/policy/reflection.ts';
import { parseMarkdown } from '../../tidy/markdown.ts';
import { ROOT } from '../../tidy/repository.ts';
import { citationsOf, converse, type Talk } from './documents-folder.ts';

type Task = {
  readonly id: string;
  readonly input: string;
  readonly expectedCalls: readonly { readonly tool: string }[];
  readonly expectations: {
    readonly answerIncludes: readonly string[];
    readonly answerExcludes: readonly string[];
    readonly citedDocuments: readonly string[];
  };
};

const tasks = readFileSync(new URL('../../../agents/research/dataset.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Task);

/** The documents change with the project, and the rehearsal compares words only; below this share the search has become worse. */
const FOUND_SHARE_MIN = 0.75;

describe('dataset of the research agent', () => {
  const talks = new Map<string, Talk>();

  it('has at least twenty tasks with ids of their own', () => {
    assert.ok(tasks.length >= 20);
    assert.equal(new Set(tasks.map(({ id }) => id)).size, tasks.length);
  });

  for (const { id, input, expectedCalls, expectations } of tasks) {
    it(id, async () => {
      const talk = await converse(ROOT, input);
      talks.set(id, talk);
      const { answer } = talk;
      assert.deepEqual(
        [...new Set(talk.calls.map(({ tool }) => tool))],
        expectedCalls.map(({ tool }) => tool),
        answer,
      );
      for (const text of expectations.answerIncludes) assert.ok(answer.includes(text), answer);
      for (const text of expectations.answerExcludes) assert.ok(!answer.includes(text), answer);
      const sources = talk.parts.flatMap((part) => (part.kind === 'tool-result' ? [JSON.stringify(part.output)] : []));
      assert.deepEqual(ungroundedClaims(agent.reflection?.groundedPatterns ?? [], answer, sources), []);
      const isAnswered = citationsOf(answer).length > 0;
      assert.equal(isAnswered, expectations.citedDocuments.length > 0, answer);
      for (const line of answer.split('\n').slice(1)) checkQuotation(line);
    });
  }

  it('cites a document that was expected in most answers', () => {
    const answerable = tasks.filter(({ expectations }) => expectations.citedDocuments.length > 0);
    const missed = answerable.filter(({ id, expectations }) => {
      const cited = citationsOf(talks.get(id)?.answer ?? '').map(({ path }) => path);
      return !expectations.citedDocuments.some((path) => cited.includes(path));
    });
    const found = answerable.length - missed.length;
    assert.ok(found >= answerable.length * FOUND_SHARE_MIN, missed.map(({ id }) => id).join(', '));
  });

  it('has the sample input as its first task', () => assert.equal(agent.sampleInput, tasks[0]?.input));
});

/** Looks a quotation and its citation up in the documents themselves. */
function checkQuotation(line: string): void {
  const [, quote = '', citation = ''] = /^“(.+)” (\[\S+\])$/.exec(line) ?? [];
  const [{ path, anchor } = { path: '', anchor: '' }] = citationsOf(citation);
  const text = readFileSync(join(ROOT, path), 'utf8');
  assert.ok(parseMarkdown(text).anchors.has(anchor), line);
  assert.ok(text.replaceAll(/\s+/g, ' ').includes(quote.replace(/ …$/, '')), line);
}
