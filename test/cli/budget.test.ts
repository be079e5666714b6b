// Goal: a run closes properly on the money that was kept for it, caps above the run hold and are mended from the command line, and people settle what is held.
// Method: real Temporal, PostgreSQL and workers with scripted models; the commands run in this process.
import assert from 'node:assert/strict';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import type { RunEnd } from '../../src/domain/run/run-end.ts';
import { openDatabase } from '../../src/stores/database.ts';
import { startTestServers } from '../support/servers.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { answerOf, stateOf, untilPhase } from '../support/workflow/talk.ts';
import { lookupTool, testAgent } from '../support/workflow/test-agent.ts';
import { capturedCli, type Ended } from './captured-cli.ts';

/** Looks things up for ever, and answers only when it is told that nothing else is left. It also asks for a tool then, as a bad model would. */
const looper = scripted(({ parts, call }) => {
  const last = parts.at(-1);
  const toolCalls = [{ tool: 'look', input: { id: String(call) } }];
  const isTold = last?.kind === 'guidance' && last.text.includes('can only answer');
  return isTold ? { text: 'What I have.', toolCalls } : { toolCalls };
});

describe('command line: budget', function () {
  this.timeout(120_000);
  let platform: Platform;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;
  let tenants = 0;

  before(async () => {
    const echo = scripted(() => ({ text: 'Hello.' }));
    const flaky = scripted(({ call }) => (call === 1 ? { error: new Error('gone') } : { text: 'Hello.' }));
    platform = await startPlatform({
      agents: [
        testAgent('looper', { tools: [lookupTool('look')] }),
        testAgent('wordy', { tools: [lookupTool('look', () => 'é'.repeat(30_000))] }),
        testAgent('echo'),
        testAgent('flaky'),
      ],
      scripts: { looper, wordy: looper, echo, flaky },
    });
    const { temporal, postgres } = await startTestServers();
    perdure = capturedCli({
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
      PERDURE_QUEUE_PREFIX: platform.queuePrefix,
    });
  });
  after(async () => platform.close());

  const newTenant = (): string => `${platform.tenant}-${(tenants += 1)}`;
  const endOf = async (agent: string, limits: object): Promise<RunEnd> =>
    (await platform.start(agent, 'Go.', { whenExhausted: 'end', limits })).result();

  it('gives a last answer on the tokens that were kept for it', async () => {
    const end = await endOf('looper', { tokens: 24_000 });
    assert.deepEqual(end.outcome, { kind: 'budget-exhausted', dimension: 'tokens' });
    assert.equal(end.answer?.preview, 'What I have.');
    assert.ok(end.turns >= 2 && end.toolCalls === end.turns - 1 && end.tokens <= 24_000, JSON.stringify(end));
  });

  it('gives a last answer on the last turn, and none where there is one turn only', async () => {
    const end = await endOf('looper', { turns: 3 });
    assert.deepEqual(end.outcome, { kind: 'budget-exhausted', dimension: 'turns' });
    assert.deepEqual([end.answer?.preview, end.turns, end.toolCalls], ['What I have.', 3, 2]);
    const single = await endOf('looper', { turns: 1 });
    assert.deepEqual([single.outcome.kind, single.answer, single.toolCalls], ['budget-exhausted', null, 1]);
  });

  it('gives one where the last tool has told more than can be paid: what it told is cut, also on the last turn', async () => {
    const end = await endOf('wordy', { tokens: 24_000 });
    assert.deepEqual(end.outcome, { kind: 'budget-exhausted', dimension: 'tokens' });
    assert.deepEqual([end.answer?.preview, end.turns, end.tokens <= 24_000], ['What I have.', 2, true]);
    const last = await endOf('wordy', { tokens: 24_000, turns: 2 });
    assert.deepEqual([last.outcome.kind, last.answer?.preview, last.turns], ['budget-exhausted', 'What I have.', 2]);
  });

  it('is taken up again before its last answer', async () => {
    const ended = await platform.start('looper', 'Go.', { whenExhausted: 'end', limits: { turns: 3 } });
    await ended.result();
    const { out, said } = await perdure('run', 'retry', ended.workflowId, '--json');
    const { id } = JSON.parse(out) as { readonly id?: string };
    const end = (await platform.client.workflow.getHandle(id ?? assert.fail(said)).result()) as RunEnd;
    // Two turns are taken over, and three more may be made: the last of them answers.
    assert.deepEqual([end.outcome.kind, end.turns, end.answer?.preview], ['budget-exhausted', 5, 'What I have.']);
    const told = (await perdure('run', 'show', id ?? '', '--transcript')).out.match(/can only answer/g);
    assert.equal(told?.length, 1);
  });

  it('ends without one where not even that can be paid', async () => {
    const end = await endOf('looper', { costPico: '1000' });
    assert.deepEqual([end.outcome, end.answer], [{ kind: 'budget-exhausted', dimension: 'usd' }, null]);
  });

  it('holds a tenant to its cap: one run ends and says why, another waits and goes on after a top-up', async () => {
    const tenant = newTenant();
    const set = await perdure(
      'budget',
      'set',
      'tenant',
      tenant,
      '--usd',
      '0.0001',
      '--per',
      'month',
      '--reason',
      'trial',
    );
    assert.deepEqual([set.exitCode, set.out], [0, `tenant ${tenant} may use 0.0001 USD a month`]);
    const ends = await platform.start('echo', 'Hi.', { tenant, whenExhausted: 'end' });
    const account = `tenant ${tenant}`;
    assert.deepEqual((await ends.result()).outcome, { kind: 'budget-exhausted', dimension: 'usd', account });
    const waits = await platform.start('echo', 'Hi.', { tenant, whenExhausted: 'wait' });
    await untilPhase(waits, 'blocked');
    const { blocked } = await stateOf(waits);
    assert.equal(blocked?.message, `${account} has used up its cap of 0.0001 USD a month`);
    assert.match(blocked?.mend ?? '', new RegExp(`perdure budget top-up ${account} --usd 5`));
    // The row follows the run.
    let shownRun = '';
    for (let tries = 0; tries < 200 && !/Blocked \(/.test(shownRun); tries += 1) {
      shownRun = (await perdure('run', 'show', waits.workflowId)).out;
    }
    assert.match(shownRun, /Blocked \(model-quota\): tenant/);
    const topUp = await perdure('budget', 'top-up', 'tenant', tenant, '--usd', '5');
    assert.deepEqual([topUp.exitCode, topUp.out], [0, `${account} may use 5.00 USD more`]);
    assert.equal(await answerOf(waits), 'Hello.');
    const shown = JSON.parse((await perdure('budget', 'show', 'tenant', tenant, '--json')).out) as [
      { readonly capPico: string; readonly spentPico: string; readonly period: string },
    ];
    assert.deepEqual([shown[0].capPico, shown[0].period], ['5000100000000', 'month']);
    assert.equal(shown[0].spentPico, (await waits.result()).costPico);
  });

  it('takes an amount to the last digit, says what it cannot know, and keeps what stood before', async () => {
    const tenant = newTenant();
    const account = ['tenant', tenant] as const;
    const set = await perdure('budget', 'set', ...account, '--usd', '123456789.000000000001');
    assert.equal(set.out, `tenant ${tenant} may use 123456789.000000000001 USD in all`);
    assert.match(set.said, /no run of tenant \S+ was admitted yet/);
    await perdure('budget', 'top-up', ...account, '--usd', '.5', '--reason', 'more');
    const again = await perdure('budget', 'set', ...account, '--usd', '2');
    assert.equal(again.said, '');
    const shown = JSON.parse((await perdure('budget', 'show', ...account, '--json')).out) as [{ capPico: string }];
    assert.equal(shown[0].capPico, '2000000000000');
    const { postgres } = await startTestServers();
    const db = openDatabase(postgres.url, () => undefined);
    const rows = await db
      .selectFrom('audit')
      .select(['action', 'before', 'after'])
      .where('tenant', '=', tenant)
      .orderBy('seq')
      .execute();
    await db.destroy();
    assert.deepEqual(
      rows.map(({ action, before, after }) => [action, before, after]),
      [
        [
          'budget.set',
          { capPico: null, capTokens: null, period: 'total' },
          { capPico: '123456789000000000001', capTokens: null, period: 'total' },
        ],
        [
          'budget.top-up',
          { capPico: '123456789000000000001', capTokens: null },
          { costPico: '500000000000', capPico: '123456789500000000001', capTokens: null, reason: 'more' },
        ],
        [
          'budget.set',
          { capPico: '123456789000000000001', capTokens: null, period: 'total', extraPico: '500000000000' },
          { capPico: '2000000000000', capTokens: null, period: 'total' },
        ],
      ],
    );
  });

  it('warns of what is nearly used up', async () => {
    const tenant = newTenant();
    const first = await platform.start('echo', 'Hi.', { tenant, whenExhausted: 'end' });
    const { costPico } = await first.result();
    // What was used before there was a cap counts.
    const cap = (Number(costPico) / 0.85 / 1e12).toFixed(9);
    await perdure('budget', 'set', 'user', 'ann', '--tenant', tenant, '--usd', cap);
    const shown = await perdure('run', 'show', first.workflowId);
    assert.match(shown.out, /Budget of user s-[\w-]{22}: 8\d % used; it has spent/);
    const { out } = await perdure('budget', 'show', 'user', 'ann', '--tenant', tenant);
    assert.match(out, /^account +tenant +spent USD .*\nuser s-[\w-]{22} .* total +8\d %$/);
    await perdure('budget', 'set', 'user', 'ann', '--tenant', tenant, '--none');
    assert.match((await perdure('budget', 'show', 'user', 'ann', '--tenant', tenant)).out, /no cap$/);
  });

  it('lists what is held after the end of its run, and settles it by a person’s word', async () => {
    const tenant = newTenant();
    await perdure('budget', 'set', 'tenant', tenant, '--usd', '5');
    const run = await platform.start('flaky', 'Hi.', { tenant });
    await run.result();
    const listed = await perdure('budget', 'held', '--tenant', tenant);
    assert.match(
      listed.out,
      /1 reservation holds at most 0\.\d+ USD, 1 of runs that have ended: they count on every account/,
    );
    const [held] = JSON.parse((await perdure('budget', 'held', '--tenant', tenant, '--json')).out) as [
      { readonly id: string },
    ];
    const settle = async (...how: readonly string[]) =>
      perdure('budget', 'settle', held.id, '--reason', 'It is in the log.', ...how);
    assert.match((await settle('--usd', '4')).said, /cannot have cost so much: at most 0\.\d+ USD/);
    assert.equal((await settle('--usd', '0.0001', '--tokens', '12')).exitCode, 0);
    assert.equal((await settle('--free')).exitCode, 5);
    assert.match(
      (await perdure('run', 'show', run.workflowId)).out,
      /0\.0001 USD {2,}\S/,
      'its attempt shows what it cost',
    );
    assert.equal((await perdure('run', 'show', run.workflowId, '--receipt')).exitCode, 0);
    assert.match((await perdure('run', 'show', run.workflowId, '--audit')).out, /budget\.settle/);
    assert.equal((await perdure('budget', 'held', '--tenant', tenant)).said, 'nothing is held');
  });

  it('says what is wrong with a command, and what was meant', async () => {
    const wrong: readonly (readonly [readonly string[], number, RegExp])[] = [
      [['set', 'tenat', 'acme', '--usd', '1'], 2, /did you mean tenant\?/],
      [['set', 'run', 'x', '--usd', '1'], 2, /run top-up ID/],
      [['set', 'tenant', 'acme'], 2, /--usd or --tokens, or take it away with --none/],
      [['set', 'tenant', '--usd', '1'], 2, /name the tenant/],
      [['set', 'tenant', 'acme', '--usd', '-1'], 2, /above 0/],
      [['set', 'tenant', 'acme', '--usd', '1e3'], 2, /above 0/],
      [['set', 'tenant', 'acme', '--usd', '１'], 2, /above 0/],
      [['set', 'tenant', 'acme', '--usd', '0.0000000000001'], 2, /at most 12 decimals/],
      [['set', 'tenant', 'acme', '--usd', '1000000000'], 2, /less than a billion/],
      [['set', 'tenant', '*', '--usd', '1'], 2, /a tenant is 1 to 64 letters/],
      [['set', 'user', 'ann', '--tenant', '*', '--usd', '1'], 2, /a tenant is 1 to 64 letters/],
      [['set', 'tenant', 'acme', '--usd', '1', '--reason', 'a\u0007b'], 2, /control character U\+0007/],
      [['set', 'agent', 'a\u0007b', '--usd', '1'], 2, /control character U\+0007/],
      [['set', 'tenant', 'acme', '--usd', '1', '--per', 'year'], 2, /day, month, total/],
      [['top-up', 'tenant', `${platform.tenant}-none`, '--usd', '1'], 5, /has no such cap/],
      [['show', 'tenant', `${platform.tenant}-none`], 4, /nothing is known of tenant/],
      [['show', 'user', 'nobody'], 4, /nothing is known of user nobody in tenant default \(--tenant names another\)/],
      [['show', 'conversation', 'nothing'], 4, /no run nothing of a conversation/],
      [['settle', 'nothing', '--free', '--reason', 'x'], 4, /there is no reservation nothing/],
    ];
    for (const [words, code, message] of wrong) {
      const { exitCode, said } = await perdure('budget', ...words);
      assert.equal(exitCode, code, `${words.join(' ')}: ${said}`);
      assert.match(said, message);
    }
  });
});
