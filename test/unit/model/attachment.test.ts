// Goal: files are what their bytes say, cost what the dearest provider counts, and are described without their bytes.
// Method: tables of first bytes, and parts by hand.
import assert from 'node:assert/strict';
import {
  attachmentKind,
  detectType,
  fileBytes,
  type FilePart,
  fileTokens,
  withoutData,
} from '../../../src/domain/model/attachment.ts';
import type { MessagePart } from '../../../src/domain/model/message-part.ts';
import { buildPrompt } from '../../../src/activities/model/prompt.ts';
import { uniqueCallIds } from '../../../src/activities/model/unique-call-ids.ts';

const png: FilePart = { kind: 'file', mediaType: 'image/png', name: 'lamp.png', bytes: 3, data: 'AAAA' };
const pdf: FilePart = { kind: 'file', mediaType: 'application/pdf', name: 'bill.pdf', bytes: 4, data: 'AAAAAA==' };

describe('attachments', () => {
  for (const [bytes, type] of [
    ['\u0089PNG\r\n\u001a\nrest', 'image/png'],
    ['\u00ff\u00d8\u00ff\u00e0', 'image/jpeg'],
    ['GIF89a..', 'image/gif'],
    ['GIF87a..', 'image/gif'],
    ['RIFF\u0000\u0000\u0000\u0000WEBPVP8 ', 'image/webp'],
    ['%PDF-1.7\n', 'application/pdf'],
    ['RIFF\u0000\u0000\u0000\u0000WAVEfmt ', null],
    ['<svg xmlns="http://www.w3.org/2000/svg">', null],
    ['MZ\u0090', null],
    ['\u0089PN', null],
    ['', null],
  ] as const) {
    it(`finds that ${JSON.stringify(bytes.slice(0, 8))} is ${type ?? 'nothing that is taken'}`, () => {
      assert.equal(detectType(Buffer.from(bytes, 'latin1')), type);
    });
  }

  it('bounds tokens by kind and sums bytes', () => {
    assert.deepEqual([attachmentKind('image/webp'), attachmentKind('application/pdf')], ['image', 'pdf']);
    const parts = [png, { kind: 'user-text', text: 'x' } as const, pdf, png];
    assert.deepEqual([fileTokens(parts), fileBytes(parts)], [600_000, 10]);
  });

  it('describes a file without what is in it', () => {
    assert.deepEqual(withoutData(png), { ...png, data: '' });
    assert.deepEqual(withoutData({ kind: 'user-text', text: 'x' }), { kind: 'user-text', text: 'x' });
  });

  it('puts a file beside the words that it came with', () => {
    const prompt = buildPrompt('Be brief.', [{ kind: 'user-text', text: 'See.' }, png]);
    assert.deepEqual(prompt[1], {
      role: 'user',
      content: [
        { type: 'text', text: 'See.' },
        { type: 'file', mediaType: 'image/png', filename: 'lamp.png', data: { type: 'data', data: 'AAAA' } },
      ],
    });
  });
});

function call(toolCallId: string): MessagePart {
  return { kind: 'tool-call', toolCallId, toolName: 'look', input: {} };
}

function result(toolCallId: string): MessagePart {
  return { kind: 'tool-result', toolCallId, toolName: 'look', isError: false, output: '' };
}

describe('uniqueCallIds', () => {
  it('names calls of a successor apart from those before, and each result as its call', () => {
    const parts = [call('t1c0'), call('t1c1'), result('t1c1'), result('t1c0'), call('t1c0'), result('t1c0')];
    const ids = uniqueCallIds(parts).map((part) => ('toolCallId' in part ? part.toolCallId : ''));
    assert.deepEqual(ids, ['t1c0', 't1c1', 't1c1', 't1c0', 't1c0r2', 't1c0r2']);
  });
});
