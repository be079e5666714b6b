// Goal: a run starts for a signed, fresh request, once for each message, and for nothing else.
// Method: tables of requests against the verifier, and the documented example as a process of its own on real servers.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Webhook } from 'standardwebhooks';
import { verifyWebhook, WebhookRefused, type WebhookRequest } from '../../src/client/index.ts';
import type { Workers } from '../../src/workers/start-workers.ts';
import { hashId } from '../../src/domain/sha-256.ts';
import { openPlatform, type Platform } from './platform.ts';

const secret = `whsec_${Buffer.from('a secret of webhooks').toString('base64')}`;
const other = `whsec_${Buffer.from('another secret of theirs').toString('base64')}`;
const body = 'Where is my order A-1090? I am Liam Murphy.';

function signed(text: string, id: string, { at = new Date(), by = secret } = {}): Record<string, string> {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(by).sign(id, at, text),
  };
}

function minutesAgo(minutes: number): Date {
  return new Date(Date.now() - minutes * 60_000);
}

describe('verifyWebhook', () => {
  it('takes a signed request, whatever form its headers have, and any of the secrets', () => {
    const headers = signed(body, 'msg_1');
    const forms: readonly WebhookRequest['headers'][] = [
      headers,
      new Headers(headers),
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value])),
    ];
    for (const form of forms) {
      const { id, body: text } = verifyWebhook({ headers: form, body: Buffer.from(body) }, { secret: [other, secret] });
      assert.deepEqual([id, text], ['msg_1', body]);
    }
    const two = { ...headers, 'webhook-signature': `v1,bm9uc2Vuc2U= ${headers['webhook-signature']}` };
    assert.equal(verifyWebhook({ headers: two, body }, { secret }).id, 'msg_1');
  });

  const refused: readonly (readonly [string, number, WebhookRequest, string?])[] = [
    ['another body', 401, { headers: signed(body, 'm'), body: `${body}!` }],
    ['another id', 401, { headers: { ...signed(body, 'm'), 'webhook-id': 'n' }, body }],
    ['another secret', 401, { headers: signed(body, 'm', { by: other }), body }],
    ['no signature that is known', 401, { headers: { ...signed(body, 'm'), 'webhook-signature': 'v2,eA==' }, body }],
    ['an old request', 401, { headers: signed(body, 'm', { at: minutesAgo(6) }), body }],
    ['a request of the future', 401, { headers: signed(body, 'm', { at: minutesAgo(-60) }), body }],
    ['a time with words', 400, { headers: { ...signed(body, 'm'), 'webhook-timestamp': '1700000000x' }, body }],
    ['no headers', 400, { headers: {}, body }],
    ['a header that is there twice', 400, { headers: { ...signed(body, 'm'), 'webhook-id': ['m', 'n'] }, body }],
    ['a long id', 400, { headers: signed(body, 'm'.repeat(129)), body }],
    ['a large body', 413, { headers: {}, body: Buffer.alloc(262_145, 'x') }],
    ['bytes that are no text', 400, { headers: {}, body: Buffer.from([0xff, 0xfe]) }],
  ];
  for (const [what, status, request] of refused) {
    it(`refuses ${what} with ${status}`, () => {
      assert.throws(
        () => verifyWebhook(request, { secret }),
        (error) => error instanceof WebhookRefused && error.status === status,
      );
    });
  }

  it('refuses everything without a secret, and a secret that is none', () => {
    const request = { headers: signed(body, 'm'), body };
    assert.throws(() => verifyWebhook(request, { secret: [] }), WebhookRefused);
    assert.throws(() => verifyWebhook(request, { secret: '' }), { name: 'InvalidInput' });
  });
});

describe('examples/webhook-server.ts', function () {
  this.timeout(120_000);
  let platform: Platform;
  let workers: Workers;
  let server: ChildProcess;
  let url: string;

  before(async () => {
    platform = await openPlatform();
    workers = await platform.startWorkers('webhooks');
    const { temporal } = platform.servers;
    const { PATH, HOME } = process.env;
    server = spawn(process.execPath, [fileURLToPath(new URL('../../examples/webhook-server.ts', import.meta.url))], {
      env: {
        PATH,
        HOME,
        PORT: '0',
        PERDURE_WEBHOOK_SECRET: secret,
        TEMPORAL_ADDRESS: temporal.address,
        TEMPORAL_NAMESPACE: temporal.namespace,
        PERDURE_QUEUE_PREFIX: 'webhooks',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    assert.ok(server.stdout);
    const [line] = (await once(server.stdout, 'data')) as [Buffer];
    url = `http://127.0.0.1:${/\d+/.exec(line.toString('utf8'))?.[0]}/`;
  });

  after(async () => {
    server?.kill();
    await workers?.shutdown();
    await platform?.close();
  });

  const post = async (headers: Record<string, string>, text = body) => {
    const response = await fetch(url, { method: 'POST', headers, body: text });
    return { status: response.status, answer: (await response.json()) as { readonly id?: string } };
  };

  it('starts a run, and gives the same one when the message comes again', async () => {
    const first = await post(signed(body, 'msg_2'));
    assert.equal(first.status, 202);
    assert.deepEqual(await post(signed(body, 'msg_2')), first);
    // Signed anew with other words: the message's id decides.
    assert.deepEqual(await post(signed('Something else.', 'msg_2'), 'Something else.'), first);
    const client = platform.connectClient({ queuePrefix: 'webhooks' });
    const run = client.run(first.answer.id ?? '', { tenant: 'default' });
    assert.equal((await run.result()).outcome.kind, 'completed');
    assert.match((await run.answer()) ?? '', /A-1090/);
    assert.notEqual((await post(signed(body, 'msg_3'))).answer.id, first.answer.id);
  });

  it('refuses what is not signed, is stale, too large or empty, and starts nothing', async () => {
    const large = 'x'.repeat(262_145);
    assert.deepEqual(await post(signed(body, 'msg_4', { by: other })), { status: 401, answer: { error: 'refused' } });
    assert.equal((await post(signed(body, 'msg_4', { at: minutesAgo(6) }))).status, 401);
    assert.equal((await post({})).status, 400);
    assert.equal((await post(signed('', 'msg_4'), '')).status, 400);
    assert.equal((await post(signed(large, 'msg_4'), large).catch(() => ({ status: 413 }))).status, 413);
    const id = hashId('default', 'single', 'webhook support msg_4');
    assert.equal(await platform.connectClient({ queuePrefix: 'webhooks' }).run(id).exists(), false);
    const { answer } = await post(signed(body, 'msg_4'));
    assert.equal(answer.id, id);
  });
});
