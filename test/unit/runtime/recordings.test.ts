// Goal: a recording's file survives whatever happened to whoever wrote it, and a setting that cannot be used is refused with its name.
// Method: files in a folder of the test's own, torn by hand, and a table of settings.
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRecording } from '../../../src/activities/recorded/recording.ts';
import { appendToRecording, readRecording, readRecordingSettings } from '../../../src/runtime/recordings.ts';
import { testFolder } from '../../support/servers.ts';

const masks = { customer: /C-\d+/gu };

const asked = (id: string, turn: number, at: string) => ({
  kind: 'asked',
  id,
  turn,
  model: 'openai:m',
  at,
  request: { method: 'POST', url: 'http://h/v1/chat/completions', body: {} },
});

const idOf = (activity: string, attempt: number): string => `${'r'.repeat(22)}-1-${activity}-${attempt}-abcdef01`;

describe('the file of a recording', () => {
  it('begins with its run and masks, and closes a line that was torn', async () => {
    const folder = await testFolder();
    appendToRecording({ folder, masks }, 'r1', asked('a', 1, '1'));
    const file = join(folder, 'r1.jsonl');
    appendFileSync(file, '{"kind":"answered","id":"a","sta');
    appendToRecording({ folder, masks }, 'r1', asked('b', 1, '2'));
    const text = readRecording(folder, 'r1') ?? '';
    assert.equal(statSync(file).mode & 0o077, 0);
    assert.equal(text, readFileSync(file, 'utf8'));
    const { run, masks: sources, exchanges, tornLines } = parseRecording(text);
    assert.deepEqual([run, sources, tornLines], ['r1', { customer: String.raw`C-\d+` }, 1]);
    assert.deepEqual(
      exchanges.map((each) => (each.kind === 'wire' ? [each.asked.id, each.answer] : [])),
      [
        ['a', null],
        ['b', null],
      ],
    );
  });

  it('begins anew where its opening line was torn', async () => {
    const folder = await testFolder();
    writeFileSync(join(folder, 'r.jsonl'), '{"kind":"recording","vers');
    appendToRecording({ folder, masks }, 'r', asked('a', 1, '1'));
    const { run, masks: sources, exchanges, tornLines } = parseRecording(readRecording(folder, 'r') ?? '');
    assert.deepEqual([run, sources, exchanges.length, tornLines], ['r', { customer: String.raw`C-\d+` }, 1, 1]);
  });

  it('has the attempts of an activity in their order where the clocks of workers differ', async () => {
    const folder = await testFolder();
    const at = [
      [idOf('12', 2), '2026-01-01T00:00:01.000Z'],
      [idOf('12', 1), '2026-01-01T00:00:05.000Z'],
      [idOf('7', 1), '2026-01-01T00:00:06.000Z'],
      [idOf('12', 3), '2026-01-01T00:00:09.000Z'],
    ] as const;
    for (const [name, time] of at) appendToRecording({ folder, masks: {} }, 'r', asked(name, 1, time));
    const { exchanges } = parseRecording(readRecording(folder, 'r') ?? '');
    assert.deepEqual(
      exchanges.map((each) => each.kind === 'wire' && each.asked.id),
      [idOf('12', 1), idOf('12', 2), idOf('12', 3), idOf('7', 1)],
    );
  });

  it('may be put together from those of several workers', async () => {
    const folder = await testFolder();
    for (const line of [asked('a', 1, '1'), asked('c', 2, '3')]) appendToRecording({ folder, masks: {} }, 'r', line);
    const other = await testFolder();
    appendToRecording({ folder: other, masks: {} }, 'r', asked('b', 1, '2'));
    const text = `${readRecording(folder, 'r')}${readRecording(other, 'r')}`;
    const ids = parseRecording(text).exchanges.map((each) => each.kind === 'wire' && each.asked.id);
    assert.deepEqual(ids, ['a', 'b', 'c']);
  });

  it('is found by a name and not by a path', async () => {
    const folder = await testFolder();
    writeFileSync(join(folder, 'x.jsonl'), '');
    assert.equal(readRecording(folder, 'x'), '');
    assert.equal(readRecording(join(folder, 'inner'), '../x'), undefined);
    assert.equal(readRecording(folder, 'y'), undefined);
  });

  it('is refused when it is none, or of a version that is not known', () => {
    assert.throws(() => parseRecording(''), /begins with a line of the kind "recording"/);
    const newer = JSON.stringify({ kind: 'recording', version: 2, run: 'r', masks: {} });
    assert.throws(() => parseRecording(newer), /Line 1 of the recording is not one that this version knows/);
  });
});

describe('settings of recordings', () => {
  it('are off by default', () => {
    assert.deepEqual(readRecordingSettings({}), { recordInto: null, playFrom: null, masks: {} });
  });

  it('refuse what cannot be used, by name', async () => {
    const file = join(await testFolder(), 'file');
    writeFileSync(file, '');
    assert.throws(
      () => readRecordingSettings({ PERDURE_RECORD_MODELS: join(file, 'x') }),
      /PERDURE_RECORD_MODELS must be/,
    );
    for (const text of ['x', '[]', '{"Upper":"x"}', '{"a":"("}', '3']) {
      assert.throws(
        () => readRecordingSettings({ PERDURE_RECORD_MASKS: text }),
        /PERDURE_RECORD_MASKS must be a JSON object/,
      );
    }
    assert.deepEqual(readRecordingSettings({ PERDURE_RECORD_MASKS: '{"a":"b"}' }).masks, { a: /b/gu });
  });
});
