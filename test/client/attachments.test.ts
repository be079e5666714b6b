// Goal: files reach the model as they are, their bytes stay out of Temporal, and what cannot be used is refused in words.
// Method: real servers and workers; a local server that speaks a provider's protocol keeps the bytes of each request; commands on files.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { AttachmentsMissing, createClient, InvalidInput, type PerdureClient } from '../../src/client/index.ts';
import { createAttachmentWriter } from '../../src/stores/attachment-writer.ts';
import { createRunReader } from '../../src/stores/run-reader.ts';
import { capturedCli } from '../cli/captured-cli.ts';
import { type ProviderServer, startProviderServer } from '../support/provider-server.ts';
import { startTestServers, testFolder } from '../support/servers.ts';
import { eventBytes, readHistory } from '../support/workflow/history.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { testAgent } from '../support/workflow/test-agent.ts';

const png = Buffer.concat([Buffer.from('\u0089PNG\r\n\u001a\n', 'latin1'), Buffer.alloc(500, 7)]);
const MIB = 1024 * 1024;
const pdf = Buffer.concat([Buffer.from('%PDF-1.7\n'), Buffer.alloc(10 * MIB - 9, 'q')]);

/** Says what it sees, as a rehearsal would. */
const viewer = scripted(({ parts }) => ({
  text: parts
    .map((part) => (part.kind === 'file' ? `${part.name} ${part.mediaType} ${part.bytes} [${part.data}]` : part.kind))
    .join('; '),
}));
const reader = scripted(({ parts }) => ({
  text: parts.flatMap((part) => ('text' in part ? [part.text] : [])).join(' '),
}));

/** Starts as a client without types can. */
function startWith(client: PerdureClient, tenant: string, attachments: readonly object[]) {
  return client.start({ agent: 'viewer', input: 'See.', tenant, attachments: attachments as never });
}

describe('client: attachments', function () {
  this.timeout(120_000);
  let platform: Platform;
  let provider: ProviderServer;
  let client: PerdureClient;
  let bare: PerdureClient;
  let folder: string;

  before(async () => {
    provider = await startProviderServer();
    folder = await testFolder();
    const reads = { reads: ['image', 'pdf'] } as const;
    const choice = { outputTokensMax: 1_000, contextTokensMax: 400_000 };
    platform = await startPlatform({
      agents: [
        testAgent('viewer', { models: { standard: { id: 'scripted:viewer', ...choice, ...reads } } }),
        testAgent('reader'),
        testAgent('wire', { models: { standard: { id: 'openai:gpt-5-mini', ...choice, ...reads } } }),
      ],
      scripts: { viewer, reader },
      env: { PERDURE_MODEL_BASE_URL: provider.baseUrl, OPENAI_API_KEY: 'sk-test-0123456789' },
    });
    const setup = {
      connection: platform.client.connection as never,
      namespace: platform.client.options.namespace,
      taskQueue: `${platform.queuePrefix}-agents`,
      reader: createRunReader(platform.stores),
      answerMs: 20_000,
    };
    bare = createClient(setup);
    client = createClient({ ...setup, attachments: createAttachmentWriter(platform.stores) });
  });

  after(async () => {
    await platform?.close();
    await provider?.close();
  });

  it('shows the model a picture and ten mebibytes of PDF, and Temporal neither', async () => {
    provider.always({ kind: 'reply', text: 'I see.', usage: { prompt_tokens: 9_000, completion_tokens: 5 } });
    const run = await client.start({
      agent: 'wire',
      input: 'What is this?',
      tenant: platform.tenant,
      attachments: [
        { data: png, name: 'lamp.png', mediaType: 'image/png' },
        { data: pdf, name: 'bill.pdf' },
      ],
    });
    const end = await run.result();
    assert.deepEqual([end.outcome, end.tokens], [{ kind: 'completed' }, 9_005]);
    const message = provider.ledger.at(-1)?.body.messages.at(-1);
    const content = message?.content as readonly Record<string, never>[];
    assert.deepEqual(content[0], { type: 'text', text: 'What is this?' });
    assert.deepEqual(content[1], {
      type: 'image_url',
      image_url: { url: `data:image/png;base64,${png.toString('base64')}` },
    });
    const file = content[2]?.['file'] as unknown as { readonly filename: string; readonly file_data: string };
    assert.equal(file.filename, 'bill.pdf');
    const [, sent = ''] = file.file_data.split('base64,');
    assert.ok(Buffer.from(sent, 'base64').equals(pdf));
    const events = await readHistory(platform, { workflowId: run.id });
    assert.ok(events.reduce((sum, event) => sum + eventBytes(event), 0) < 16_000);
  });

  it('sends a picture with a later message, and keeps it in the transcript', async () => {
    const say = async (text: string, key: string, more = {}) =>
      (await client.send('album', text, { agent: 'viewer', tenant: platform.tenant, key, ...more })).reply();
    const files = { attachments: [{ data: png, name: 'a lamp.png' }] };
    await say('Hello.', 'k1');
    const seen = await say('See.', 'k2', files);
    assert.equal(
      seen.kind === 'answered' && seen.text,
      'user-text; assistant-text; user-text; a lamp.png image/png 508 []',
    );
    assert.deepEqual(await say('See.', 'k2', files), seen);
    const first = await client.send('album 2', 'See.', { agent: 'viewer', tenant: platform.tenant, ...files });
    const reply = await first.reply();
    assert.equal(reply.kind === 'answered' && reply.text, 'user-text; a lamp.png image/png 508 []');
    const transcript = await createRunReader(platform.stores).transcript(platform.tenant, first.agentRunId);
    assert.deepEqual(transcript[1], { kind: 'file', mediaType: 'image/png', name: 'a lamp.png', bytes: 508, data: '' });
  });

  it('refuses a run that begins with a file its model does not read, and tells the model of a later one', async () => {
    const attachments = [{ data: png, name: 'lamp.png' }];
    const run = await client.start({ agent: 'reader', input: 'See.', tenant: platform.tenant, attachments });
    const { outcome } = await run.result();
    assert.match(outcome.kind === 'refused' ? outcome.reason : '', /lamp\.png.*scripted:reader reads no files/);
    const say = async (text: string, more = {}) =>
      (await client.send('words', text, { agent: 'reader', tenant: platform.tenant, ...more })).reply();
    await say('Hello.');
    const told = await say('See.', { attachments });
    assert.match(
      told.kind === 'answered' ? told.text : '',
      /See\. \[the file "lamp\.png".* was left out: .* reads no files\]/,
    );
  });

  it('keeps files of different subjects apart', async () => {
    const sent = await client.send('apart', 'Hello.', { agent: 'viewer', tenant: platform.tenant, subject: 'ann' });
    await sent.reply();
    const ref = await createAttachmentWriter(platform.stores).write(
      { tenant: platform.tenant, agentRunIds: [], subject: 'bob' },
      { kind: 'file', mediaType: 'image/png', name: 'secret.png', bytes: 3, data: 'AAAA' },
    );
    await platform.client.workflow.getHandle(sent.agentRunId).executeUpdate('provideInput', {
      args: [{ id: 'k2', principal: 'eve', text: 'Show me.', attachments: [ref] }],
    });
    const next = await client.send('apart', 'And?', { agent: 'viewer', tenant: platform.tenant });
    const reply = await next.reply();
    assert.doesNotMatch(reply.kind === 'answered' ? reply.text : 'secret.png', /secret\.png/);
  });

  it('sends nothing that is no such file', async () => {
    const name = 'x.png';
    for (const [attachments, problem] of [
      [[{ data: Buffer.from('hello'), name }], /must be one of image\/png, .*; its bytes are none/],
      [[{ data: png, name, mediaType: 'image/gif' }], /is "image\/gif", but its bytes are image\/png/],
      [[{ data: Buffer.alloc(0), name }], /must be the bytes of a file/],
      [[{ data: 'x.png', name }], /must be the bytes of a file/],
      [[{ data: png, name: 'two\nlines' }], /must be 1 to 200 characters/],
      [[{ data: Buffer.concat([pdf, png]), name }], /has 10486268 bytes, at most 10485760/],
      [[pdf, pdf, png].map((data) => ({ data, name })), /have 20972028 bytes, at most 20971520/],
      [Array.from({ length: 11 }, () => ({ data: png, name })), /at most 10, got 11/],
    ] as const) {
      await assert.rejects(
        startWith(client, platform.tenant, attachments),
        (error) => error instanceof InvalidInput && problem.test(error.message),
      );
    }
    await assert.rejects(startWith(bare, platform.tenant, [{ data: png, name }]), AttachmentsMissing);
    await assert.rejects(
      bare.send('x', 'See.', { agent: 'viewer', attachments: [{ data: png, name }] }),
      AttachmentsMissing,
    );
  });

  it('takes files on the command line', async () => {
    const { temporal, postgres } = await startTestServers();
    writeFileSync(join(folder, 'lamp.png'), png);
    writeFileSync(join(folder, 'huge.pdf'), Buffer.concat([pdf, png]));
    const env = {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
      PERDURE_QUEUE_PREFIX: platform.queuePrefix,
      PERDURE_AGENTS_DIR: join(process.cwd(), 'agents'),
    };
    const lines = ['/attach none.png', '/attach lamp.png', '/exit'];
    const chat = await capturedCli(env, { cwd: folder, stdin: lines.join('\n') })('chat', 'support');
    assert.match(
      chat.said,
      /not attached: none\.png cannot be attached: .*\nlamp\.png goes with the next line \(508 bytes\)/,
    );
    const perdure = capturedCli(env, { cwd: folder });
    const huge = await perdure('run', 'start', 'support', 'See.', '--attach', 'huge.pdf');
    assert.deepEqual([huge.exitCode, /huge\.pdf cannot be attached: it has 10486268/.test(huge.said)], [2, true]);
    const started = await perdure(
      'run',
      'start',
      'support',
      'See.',
      '--attach',
      'lamp.png',
      '--tenant',
      platform.tenant,
    );
    assert.equal(started.exitCode, 0, started.said);
    const events = await readHistory(platform, { workflowId: started.out });
    const input = events[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
    assert.match(Buffer.from(input ?? []).toString('utf8'), /"attachments":\["[\w-]{22}"\]/);
  });
});
