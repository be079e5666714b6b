/**
 * Goal: the tools give what the documents say, in bounded portions, and nothing of any other file.
 * Method: the agent's own tools on real files in a folder of the test, called as a worker calls them.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { openLibrary } from '../../../agents/research/documents/library.ts';
import { callTool, makeFolder, removeFolder, writeText, type Json } from './documents-folder.ts';

const SECRET = 'the password is swordfish';

const FILES = {
  'README.md': '# Kettle\n\nKettle boils water.\n\n## Start\n\nFill it. Press the red button.\n',
  'CONTRIBUTING.md': '# Contributing\n\nOpen an issue first.\n',
  'CHANGELOG.md': '# Changelog\n\nThe lid opens wider.\n',
  'docs/safety.md': [
    'Read this before anything else.',
    '',
    '# Safety',
    '',
    'Steam burns.',
    '',
    '## Dry boiling',
    '',
    'The kettle switches itself off',
    'when no water is left. It cools for ten minutes.',
    '',
    '```sh',
    '# Not a heading: swordfish',
    '```',
    '',
    '### `reset` it, then [wait](README.md)!',
    '',
    'Hold the button.',
    '',
    '## Dry boiling',
    '',
    'A second section of the same name.',
    '',
  ].join('\n'),
  'docs/deep/parts.md': '# Parts\n\n| part | price |\n| --- | --- |\n| lid | 4.00 |\n| filter | 2.50 |\n',
  'docs/notes.txt': SECRET,
  'agents/cook/README.md': '# Cook\n\nBoils eggs for six minutes.\n',
  'agents/cook/notes.md': SECRET,
  'secret.md': SECRET,
  '.env': SECRET,
};

type Hits = {
  readonly hits: readonly { readonly citation: string; readonly snippet: string; readonly coverage: number }[];
};

describe('tools of the research agent', () => {
  let folder: string;

  beforeEach(() => {
    folder = makeFolder(FILES);
  });
  afterEach(() => removeFolder(folder));

  const output = async (name: string, input: Json): Promise<Json> => {
    const outcome = await callTool(folder, name, input);
    assert.equal(outcome.isError, false, JSON.stringify(outcome.output));
    return outcome.output;
  };
  const refusal = async (name: string, input: Json): Promise<string> => {
    const outcome = await callTool(folder, name, input);
    assert.equal(outcome.isError, true, JSON.stringify(outcome.output));
    return typeof outcome.output === 'string' ? outcome.output : JSON.stringify(outcome.output);
  };
  const search = async (query: string, limit = 5): Promise<Hits['hits']> =>
    ((await output('searchDocuments', { query, limit })) as Hits).hits;
  const read = async (path: string, anchor: string, part = 1): Promise<{ text: string; parts: number }> =>
    (await output('readSection', { path, anchor, part })) as { text: string; parts: number };

  describe('listDocuments', () => {
    it('lists the documents and no other file', async () => {
      assert.deepEqual(await output('listDocuments', {}), {
        documents: [
          { path: 'CONTRIBUTING.md', title: 'Contributing', sections: 1 },
          { path: 'README.md', title: 'Kettle', sections: 2 },
          { path: 'agents/cook/README.md', title: 'Cook', sections: 1 },
          { path: 'docs/deep/parts.md', title: 'Parts', sections: 1 },
          { path: 'docs/safety.md', title: 'Safety', sections: 5 },
        ],
        moreDocuments: 0,
        leftOut: [],
      });
    });

    it('says which files it leaves out', async () => {
      writeText(folder, 'docs/with space.md', '# Space\n');
      writeText(folder, 'docs/huge.md', `# Huge\n${'x'.repeat(256 * 1024)}`);
      assert.deepEqual(((await output('listDocuments', {})) as { leftOut: Json }).leftOut, [
        'docs/huge.md',
        'docs/with space.md',
      ]);
    });

    it('gives nothing for an empty folder, and says when there is none', async () => {
      removeFolder(folder);
      assert.match(await refusal('listDocuments', {}), /^The folder of the documents cannot be read \(ENOENT\)/);
      mkdirSync(folder);
      assert.deepEqual(await output('listDocuments', {}), { documents: [], moreDocuments: 0, leftOut: [] });
      assert.deepEqual(await output('searchDocuments', { query: 'water' }), { hits: [], searchedSections: 0 });
      assert.equal(await refusal('readSection', { path: 'README.md', anchor: 'kettle' }), 'There is no such document.');
    });
  });

  describe('searchDocuments', () => {
    it('gives the best section first, with its citation and its best sentence', async () => {
      assert.deepEqual((await search('When does it switch off without water?'))[0], {
        citation: '[docs/safety.md#dry-boiling]',
        path: 'docs/safety.md',
        anchor: 'dry-boiling',
        heading: 'Dry boiling',
        snippet: 'The kettle switches itself off when no water is left.',
        coverage: 1,
      });
    });

    it('finds rows of tables', async () => {
      assert.equal((await search('price of the filter'))[0]?.snippet, 'filter | 2.50');
    });

    it('finds other forms of a word', async () => {
      assert.equal((await search('burning'))[0]?.citation, '[docs/safety.md#safety]');
    });

    it('finds nothing for words that no document has, or that say nothing', async () => {
      for (const query of ['violin', 'what is it?', '…']) assert.deepEqual(await search(query), []);
    });

    it('covers less when a word of the question is nowhere', async () => {
      const whole = await search('steam');
      const half = await search('steam violin');
      assert.equal(whole[0]?.coverage, 1);
      assert.ok((half[0]?.coverage ?? 1) < 0.5);
    });

    it('gives at most eight hits', async () => {
      for (let n = 0; n < 20; n += 1) writeText(folder, `docs/more-${n}.md`, `# More ${n}\n\nSteam again.\n`);
      assert.equal((await search('steam', 8)).length, 8);
      await assert.rejects(search('steam', 9), /Too big/);
    });
  });

  describe('readSection', () => {
    it('gives the text up to the next heading, and the headings inside', async () => {
      assert.deepEqual(await output('readSection', { path: 'docs/safety.md', anchor: 'safety' }), {
        citation: '[docs/safety.md#safety]',
        title: 'Safety',
        heading: 'Safety',
        text: 'Steam burns.',
        part: 1,
        parts: 1,
        inside: [
          { heading: 'Dry boiling', anchor: 'dry-boiling' },
          { heading: 'Dry boiling', anchor: 'dry-boiling-1' },
        ],
      });
    });

    it('makes anchors as GitHub does', async () => {
      assert.equal((await read('docs/safety.md', 'reset-it-then-wait')).text, 'Hold the button.');
      assert.equal((await read('docs/safety.md', 'dry-boiling-1')).text, 'A second section of the same name.');
      assert.match((await read('docs/safety.md', '#dry-boiling')).text, /# Not a heading: swordfish/);
      assert.equal((await read('./docs/safety.md', 'top')).text, 'Read this before anything else.');
    });

    it('gives a long section in parts of at most 8 KiB that are the whole together', async () => {
      const line = 'Größe und Gewicht. ';
      const text = `${`${line.repeat(20)}\n`.repeat(40)}${line.repeat(900)}`.trim();
      writeText(folder, 'docs/long.md', `# Long\n\n${text}\n`);
      const { parts } = await read('docs/long.md', 'long');
      const texts: string[] = [];
      for (let part = 1; part <= parts; part += 1) texts.push((await read('docs/long.md', 'long', part)).text);
      assert.ok(texts.length > 3 && texts.every((part) => Buffer.byteLength(part) <= 8 * 1024));
      assert.equal(texts.join(''), text);
      assert.match(await refusal('readSection', { path: 'docs/long.md', anchor: 'long', part: 99 }), /part\(s\) only/);
    });

    it('suggests anchors and documents that look like the unknown one, and repeats nothing', async () => {
      const anchor = await refusal('readSection', { path: 'docs/safety.md', anchor: 'dry-boil [docs/safety.md#no]' });
      assert.match(anchor, /no section with this anchor\. Near: dry-boiling, /);
      const document = await refusal('readSection', { path: 'docs/safty.md#no', anchor: 'safety' });
      assert.match(document, /^There is no such document\. Near: docs\/safety\.md, /);
      assert.ok(!`${anchor}${document}`.includes('#no'));
    });

    it('refuses every path that leads outside', async () => {
      for (const path of ['../secret.md', 'docs/../../x.md', '/etc/passwd', join(folder, 'README.md'), '..', '..\\x']) {
        assert.match(await refusal('readSection', { path, anchor: 'top' }), /leads outside the documents/, path);
      }
    });

    it('refuses files that are no documents', async () => {
      for (const path of ['secret.md', '.env', 'docs/notes.txt', 'agents/cook/notes.md', 'docs/../secret.md', 'docs']) {
        assert.match(await refusal('readSection', { path, anchor: 'top' }), /There is no such document/, path);
      }
    });

    it('does not follow links, wherever they lead', async () => {
      const outside = makeFolder({ 'other.md': `# Other\n\n${SECRET}\n`, 'deep/README.md': SECRET });
      try {
        symlinkSync(join(outside, 'other.md'), join(folder, 'docs/link.md'));
        symlinkSync(outside, join(folder, 'docs/linked'));
        symlinkSync(join(outside, 'deep'), join(folder, 'agents/linked'));
        symlinkSync(join(folder, '.env'), join(folder, 'docs/env.md'));
        symlinkSync(join(folder, 'gone.md'), join(folder, 'docs/gone.md'));
        for (const path of [
          'docs/link.md',
          'docs/linked/other.md',
          'agents/linked/README.md',
          'docs/env.md',
          'docs/gone.md',
        ]) {
          assert.match(await refusal('readSection', { path, anchor: 'top' }), /There is no such document/, path);
        }
        assert.deepEqual(await search('password'), []);
      } finally {
        removeFolder(outside);
      }
    });
  });

  describe('the index', () => {
    it('is built once while nothing changes', async () => {
      assert.equal(await openLibrary(folder), await openLibrary(folder));
    });

    it('is built again when a file changes, comes or goes', async () => {
      assert.deepEqual(await search('whistle'), []);
      writeText(folder, 'docs/whistle.md', '# Whistle\n\nIt whistles.\n');
      assert.equal((await search('whistle'))[0]?.citation, '[docs/whistle.md#whistle]');
      writeText(folder, 'docs/whistle.md', '# Whistle\n\nIt honks up.\n');
      utimesSync(join(folder, 'docs/whistle.md'), 1, 1);
      assert.equal((await read('docs/whistle.md', 'whistle')).text, 'It honks up.');
      rmSync(join(folder, 'docs/whistle.md'));
      assert.deepEqual(await search('whistle'), []);
    });
  });
});
