/**
 * Goal: the rehearsal searches, reads and answers with quotations that stand in the documents and citations that exist.
 * Method: tables of transcripts with the one reply that must follow, and talks between the rehearsal and the real tools on real files.
 */
import assert from 'node:assert/strict';
import { agent } from '../../../agents/research/agent.ts';
import { rehearsal } from '../../../agents/research/rehearsal.ts';
import { ungroundedClaims } from '../../../src/domain/policy/reflection.ts';
import { loadAgents } from '../../../src/workers/load-agents.ts';
import { callTool, citationsOf, converse, makeFolder, removeFolder, type Json, type Part } from './documents-folder.ts';

const QUESTION = 'When does the kettle switch off?';
const HIT = {
  citation: '[docs/safety.md#dry-boiling]',
  path: 'docs/safety.md',
  anchor: 'dry-boiling',
  heading: 'Dry boiling',
  snippet: 'The kettle switches itself off when no water is left.',
  coverage: 1,
};
const SECTION = {
  citation: HIT.citation,
  title: 'Safety',
  heading: HIT.heading,
  text: 'It is red.\nThe kettle switches itself off\nwhen no water is left. Then it cools.',
  part: 1,
  parts: 1,
  inside: [],
};

const user = (text: string): Part[] => [{ kind: 'user-text', text }];
let made = 0;
const called = (toolName: string, output: Json, isError = false): Part[] => {
  const toolCallId = `call-${(made += 1)}`;
  return [
    { kind: 'tool-call', toolCallId, toolName, input: {} },
    { kind: 'tool-result', toolCallId, toolName, isError, output },
  ];
};
const searched = (...hits: (typeof HIT)[]): Part[] => called('searchDocuments', { hits, searchedSections: 9 });
const read = (section: Json = SECTION): Part[] => called('readSection', section);
const reply = (parts: readonly Part[]): Json => {
  const given = rehearsal({ parts, tools: [] });
  return given.toolCalls?.map(({ tool, input }) => [tool, input]) ?? given.text ?? '';
};

describe('rehearsal of the research agent', () => {
  const NOT_SAID = 'The documents do not say.';
  const ANSWER = `The documents say:\n“${HIT.snippet}” ${HIT.citation}`;
  const call = { path: HIT.path, anchor: HIT.anchor };
  const table: readonly (readonly [what: string, parts: readonly Part[], expected: Json])[] = [
    ['searches with the question', user(QUESTION), [['searchDocuments', { query: QUESTION }]]],
    ['reads the best section', [...user(QUESTION), ...searched(HIT)], [['readSection', call]]],
    [
      'reads two at most, and none that covers less than half or has no fitting sentence',
      [
        ...user(QUESTION),
        ...searched(HIT, { ...HIT, coverage: 0.4 }, { ...HIT, snippet: 'Date: today.' }, { ...HIT, anchor: 'b' }, HIT),
      ],
      [
        ['readSection', call],
        ['readSection', { ...call, anchor: 'b' }],
      ],
    ],
    ['answers with a quotation and its citation', [...user(QUESTION), ...searched(HIT), ...read()], ANSWER],
    [
      'quotes the best sentence of what was read when the found one is not in it',
      [...user(QUESTION), ...searched({ ...HIT, snippet: 'Switch it off.' }), ...read()],
      ANSWER,
    ],
    ['says when nothing is found', [...user(QUESTION), ...searched()], NOT_SAID],
    ['says when nothing fits', [...user(QUESTION), ...searched({ ...HIT, coverage: 0.2 })], NOT_SAID],
    [
      'says when there are no documents',
      [...user(QUESTION), ...called('searchDocuments', { hits: [], searchedSections: 0 })],
      `${NOT_SAID} There are none to read.`,
    ],
    [
      'tells that a search failed',
      [...user(QUESTION), ...called('searchDocuments', { message: 'no folder' }, true)],
      'I could not search the documents: no folder',
    ],
    [
      'tells that reading failed',
      [...user(QUESTION), ...searched(HIT), ...called('readSection', 'There is no such document.', true)],
      'I could not read what I found: There is no such document.',
    ],
    [
      'answers the same when a check sends the answer back',
      [
        ...user(QUESTION),
        ...searched(HIT),
        ...read(),
        { kind: 'assistant-text', text: 'Off [docs/x.md#y]' },
        { kind: 'guidance', text: 'docs/x.md#y stands in no source.' },
      ],
      ANSWER,
    ],
    [
      'searches anew for the next question',
      [...user(QUESTION), ...searched(HIT), ...read(), { kind: 'assistant-text', text: ANSWER }, ...user('Is it red?')],
      [['searchDocuments', { query: 'Is it red?' }]],
    ],
    [
      'starts from guidance where nobody else spoke',
      [{ kind: 'guidance', text: 'Red?' }],
      [['searchDocuments', { query: 'Red?' }]],
    ],
    ['asks what is meant', user('What is it?'), 'What do you want to know of the documents?'],
    ['lists the documents', user('Which documents are there?'), [['listDocuments', {}]]],
    [
      'says which documents there are',
      [
        ...user('Which documents are there?'),
        ...called('listDocuments', {
          documents: [{ path: 'README.md', title: 'Kettle', sections: 2 }],
          moreDocuments: 3,
          leftOut: [],
        }),
      ],
      'The documents are README.md (Kettle), and 3 more.',
    ],
  ];
  for (const [what, parts, expected] of table) {
    it(what, () => assert.deepEqual(reply(Object.freeze(parts)), expected));
  }

  it('fits a question of any length into a search', async () => {
    const [[, input] = []] = reply(user(`${QUESTION} `.repeat(100))) as [string, Json][];
    const folder = makeFolder({});
    assert.equal((await callTool(folder, 'searchDocuments', input ?? null)).isError, false);
    removeFolder(folder);
  });

  describe('with the real tools', () => {
    let folder: string;

    before(() => {
      folder = makeFolder({
        'README.md': '# Kettle\n\nKettle boils water and is red.\n',
        'docs/safety.md': `# Safety\n\n## Dry boiling\n\n${SECTION.text}\n`,
      });
    });
    after(() => removeFolder(folder));

    it('searches, reads and answers', async () => {
      const talk = await converse(folder, QUESTION);
      assert.deepEqual(
        talk.calls.map(({ tool }) => tool),
        ['searchDocuments', 'readSection'],
      );
      assert.equal(talk.answer, ANSWER);
      const [citation] = citationsOf(talk.answer);
      assert.equal((await callTool(folder, 'readSection', citation ?? null)).isError, false);
    });

    it('says honestly that the documents do not say', async () => {
      assert.equal((await converse(folder, 'Who plays the violin?')).answer, NOT_SAID);
    });

    it('says which documents there are', async () => {
      const { answer } = await converse(folder, 'List all documents');
      assert.equal(answer, 'The documents are README.md (Kettle), docs/safety.md (Safety).');
    });

    it('has citations that reflection finds, and finds made-up ones missing', async () => {
      const { parts, answer } = await converse(folder, QUESTION);
      const patterns = agent.reflection?.groundedPatterns ?? [];
      const sources = parts.flatMap((part) => (part.kind === 'tool-result' ? [JSON.stringify(part.output)] : []));
      assert.deepEqual(ungroundedClaims(patterns, answer, sources), []);
      const madeUp = 'It is so [docs/safety.md#dry], [safety.md#dry-boiling], see [Safety](docs/none.md#dry-boiling).';
      assert.deepEqual(ungroundedClaims(patterns, madeUp, sources), [
        '[docs/safety.md#dry]',
        '[safety.md#dry-boiling]',
        'docs/safety.md#dry',
        'docs/none.md#dry-boiling',
      ]);
    });
  });

  it('is loaded with its agent', async () => {
    const loaded = (await loadAgents('agents')).get('research');
    assert.equal(loaded, agent);
    assert.deepEqual([...new Set(loaded?.tools.map(({ contract }) => contract.effect))], ['read']);
  });
});
