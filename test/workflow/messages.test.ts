// Goal: whatever people say to a run is applied once or refused in clear words, whether it comes as an update or as a signal.
// Method: scripted runs on workers in this process against the real servers; the state query and the history tell what was applied.
import assert from 'node:assert/strict';
import { scripted, type ScriptedModel } from '../../src/activities/model/scripted-model.ts';
import type { RunMessageKind } from '../../src/domain/run/message.ts';
import { usageQuery } from '../../src/workflows/agent-run.messages.ts';
import { activitiesOf, readHistory } from '../support/workflow/history.ts';
import { type Platform, type RunHandle, startPlatform } from '../support/workflow/platform.ts';
import { answerOf, refused, signal, stateOf, untilAsked, untilPhase, update } from '../support/workflow/talk.ts';
import { type Destination, lookupTool, payTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

const pay = (amount: number) => ({ toolCalls: [{ tool: 'pay', input: { amount } }] });
const lookup = (key: string) => ({ toolCalls: [{ tool: 'lookup', input: { id: key } }] });
const question = { toolCalls: [{ tool: 'askPerson', input: { question: 'Which order?' } }] };

describe('messages to a run', () => {
  let platform: Platform;
  const destination: Destination = { arrived: [] };
  /** Holds the tools up while it is set. */
  let gate: { readonly reached: PromiseWithResolvers<void>; readonly opened: PromiseWithResolvers<void> } | null = null;
  const passGate = async (): Promise<void> => {
    gate?.reached.resolve();
    await gate?.opened.promise;
  };
  const holdTools = () => {
    gate = { reached: Promise.withResolvers<void>(), opened: Promise.withResolvers<void>() };
    return gate;
  };
  const scripts: Record<string, ScriptedModel> = {
    /** Pays what the input says, then answers with what came of it. */
    payer: scripted(({ parts }) => {
      const last = parts.findLast((part) => part.kind === 'tool-result');
      if (last !== undefined) return { text: `outcome: ${JSON.stringify(last.output)}` };
      const input = parts.find((part) => part.kind === 'user-text');
      return pay(Number(input?.text));
    }),
    /** Answers with everything that people said so far. */
    echo: scripted(({ parts }) => ({
      text: parts
        .flatMap((part) => (part.kind === 'user-text' || part.kind === 'guidance' ? [part.text] : []))
        .join(' | '),
    })),
    /** Looks something up as often as the input says, then answers. */
    reader: scripted(({ parts }) => {
      const results = parts.filter((part) => part.kind === 'tool-result').length;
      const guidance = parts.findLast((part) => part.kind === 'guidance');
      const input = parts.find((part) => part.kind === 'user-text');
      if (results >= Number(input?.text) || guidance !== undefined) return { text: guidance?.text ?? 'Enough.' };
      return lookup(`k${results}`);
    }),
    asker: scripted(({ parts }) => {
      const answer = parts.find((part) => part.kind === 'tool-result');
      return answer === undefined ? question : { text: `You said: ${JSON.stringify(answer.output)}` };
    }),
    slow: scripted(() => ({ text: 'Late.', delayMs: 30_000 })),
  };

  before(async () => {
    const tools = [
      lookupTool('lookup', async (key) => {
        await passGate();
        return key;
      }),
      payTool(destination, passGate),
    ];
    const approvals = [{ name: 'above-100', tool: 'pay', when: { path: 'amount', above: 100 } }];
    const agents = Object.keys(scripts).map((name) =>
      testAgent(name, { tools, approvals, asksPerson: { deadlineMs: 60_000 }, limits: { turns: 4 } }),
    );
    platform = await startPlatform({ agents, scripts });
  });
  after(async () => platform.close());
  afterEach(() => {
    gate?.opened.resolve();
    gate = null;
    destination.arrived.length = 0;
  });

  const askedToPay = async (amount: number) => {
    const handle = await platform.start('payer', String(amount));
    const pending = await untilAsked(platform, handle, 'approval');
    return { handle, pending };
  };
  const amounts = () => destination.arrived.map(({ amount }) => amount);
  const eventCount = async (handle: RunHandle) => (await readHistory(platform, handle)).length;

  describe('of any kind', () => {
    const bodies: { readonly [kind in RunMessageKind]?: object } = {
      provideInput: { text: 'twice' },
      steer: { text: 'twice' },
      topUpBudget: { topUp: { turns: 7 } },
      retry: {},
      pause: {},
      resume: {},
      requestStop: { reason: 'enough' },
    };
    for (const [kind, body] of Object.entries(bodies) as [RunMessageKind, object][]) {
      it(`${kind} is applied once, however it is sent twice`, async () => {
        for (const first of ['update', 'signal'] as const) {
          const handle = await platform.start('echo', 'first', { kind: 'conversation' });
          await untilPhase(handle, 'waiting');
          const said = { ...body, id: `same-${kind}` };
          if (first === 'signal') {
            await signal(handle, kind, said);
            // A query comes after the signal in the order of the workflow task, so that the update is not the first.
            await stateOf(handle);
          }
          const receipt = await update(handle, kind, said).catch((error: unknown) => {
            // A stopped run may have ended in between; then nothing can be applied any more.
            if (kind !== 'requestStop') throw error;
            return { result: 'already-applied' };
          });
          assert.equal(receipt.result, first === 'update' ? 'applied' : 'already-applied');
          if (kind === 'requestStop') {
            assert.deepEqual((await handle.result()).outcome, { kind: 'cancelled', reason: 'enough' });
            continue;
          }
          if (first === 'update') await signal(handle, kind, said);
          if (kind === 'pause') await untilPhase(handle, 'paused');
          else await untilPhase(handle, 'waiting');
          assert.deepEqual((await stateOf(handle)).rejectedMessages, []);
          if (kind === 'provideInput' || kind === 'steer') {
            await until('answer', async () => (await stateOf(handle)).answer?.preview === 'first | twice');
          }
          if (kind === 'topUpBudget') {
            const account = await platform.db
              .selectFrom('audit')
              .select('after')
              .where('action', '=', 'budget.top-up')
              .where('target', '=', handle.workflowId)
              .execute();
            assert.deepEqual(account, [{ after: { turns: 7 } }]);
          }
          await handle.terminate();
        }
      });
    }

    it('decideApproval is applied once, however it is sent twice', async () => {
      const { handle, pending } = await askedToPay(200);
      const said = { ...pending, id: 'same', decision: { kind: 'approve' } as const };
      await Promise.all([signal(handle, 'decideApproval', said), update(handle, 'decideApproval', said)]);
      assert.equal(await answerOf(handle), 'outcome: {"paid":200}');
      assert.deepEqual(amounts(), [200]);
    });
  });

  describe('that are not valid', () => {
    const cases: readonly [RunMessageKind, object, RegExp][] = [
      ['provideInput', { text: '' }, /provideInput: text must not be empty/],
      ['provideInput', { text: 7 }, /text must be a text, got number/],
      ['provideInput', { text: 'a\u0000b' }, /control character U\+0000 at position 1/],
      ['provideInput', { text: 'x', id: '' }, /id must be a text of 1 to 200 characters/],
      ['provideInput', { text: 'x', id: 'perdure:mine' }, /ids that begin with 'perdure:' are the run's own/],
      ['steer', { text: 'x'.repeat(256 * 1024 + 1) }, /text has 262145 bytes, at most 262144/],
      ['topUpBudget', { topUp: {} }, /topUp must name an amount/],
      ['topUpBudget', { topUp: { costPico: '-5' } }, /topUp\.costPico must be a positive whole amount/],
      ['requestStop', {}, /reason must be a text, got undefined/],
      [
        'decideApproval',
        { approvalId: 'none', argsHash: 'x', decision: { kind: 'approve' } },
        /approval "none" is not pending; pending: none/,
      ],
    ];

    it('are refused as updates without an event, and shown in the state as signals', async () => {
      const handle = await platform.start('echo', 'first', { kind: 'conversation' });
      await untilPhase(handle, 'waiting');
      await until('quiet', async () => {
        const history = await readHistory(platform, handle);
        const progress = activitiesOf(history).findLast(({ type }) => type === 'recordProgress');
        return progress?.closedAt && history.at(-1)?.workflowTaskCompletedEventAttributes;
      });
      const events = await eventCount(handle);
      for (const [kind, said, problem] of cases) assert.match(await refused(handle, kind, said as never), problem);
      assert.equal(await eventCount(handle), events);
      for (const [kind, said] of cases) await signal(handle, kind, said as never);
      const { rejectedMessages, answer } = await until('all rejected', async () => {
        const state = await stateOf(handle);
        return state.rejectedMessages.length === cases.length ? state : null;
      });
      assert.deepEqual(
        rejectedMessages.map(({ kind }) => kind),
        cases.map(([kind]) => kind),
      );
      for (const [index, [, , problem]] of cases.entries()) {
        const shown = `${rejectedMessages[index]?.kind}: ${rejectedMessages[index]?.problem}`;
        assert.match(shown, problem);
      }
      assert.equal(answer?.preview, 'first');
      await handle.terminate();
    });
  });

  it('pause a run between two turns and let it go on', async () => {
    const { reached, opened } = holdTools();
    const handle = await platform.start('reader', '2');
    await reached.promise;
    await update(handle, 'pause', {});
    opened.resolve();
    await untilPhase(handle, 'paused');
    const { turn } = await stateOf(handle);
    assert.equal(turn, 1);
    await update(handle, 'resume', {});
    assert.equal(await answerOf(handle), 'Enough.');
  });

  it('steer a run in the middle of a turn: the next model call reads it', async () => {
    const { reached, opened } = holdTools();
    const handle = await platform.start('reader', '3');
    await reached.promise;
    await update(handle, 'steer', { text: 'Stop looking.' });
    opened.resolve();
    const end = await handle.result();
    assert.deepEqual([end.answer?.preview, end.turns], ['Stop looking.', 2]);
  });

  it('stop a run once the write in flight has finished', async () => {
    const { reached, opened } = holdTools();
    const handle = await platform.start('payer', '50');
    await reached.promise;
    await update(handle, 'requestStop', { reason: 'changed my mind' });
    await stateOf(handle);
    assert.equal((await handle.describe()).status.name, 'RUNNING');
    opened.resolve();
    const end = await handle.result();
    assert.deepEqual([end.outcome, end.toolCalls], [{ kind: 'cancelled', reason: 'changed my mind' }, 1]);
    assert.deepEqual(amounts(), [50]);
    const effect = platform.db.selectFrom('effects').select('state').where('run_id', '=', handle.workflowId);
    assert.deepEqual(await effect.execute(), [{ state: 'succeeded' }]);
  });

  it("end a run in order when Temporal's own cancel comes, and abort its model call", async () => {
    const handle = await platform.start('slow', 'Go.');
    await until('model call', async () => scripts['slow']?.views.length === 1);
    await handle.cancel();
    const end = await handle.result();
    assert.deepEqual(end.outcome, { kind: 'cancelled', reason: 'cancelled' });
    assert.equal((await handle.describe()).status.name, 'COMPLETED');
    const row = platform.db.selectFrom('runs').select(['phase', 'run_end']).where('id', '=', handle.workflowId);
    assert.deepEqual(await row.executeTakeFirst(), { phase: 'ended', run_end: end });
  });

  it('are not awaited beyond the deadline of the run', async () => {
    const handle = await platform.start('payer', '270', { deadlineAt: Date.now() + 1_500 });
    const pending = await untilAsked(platform, handle, 'approval');
    assert.deepEqual((await handle.result()).outcome, { kind: 'expired' });
    const row = platform.db.selectFrom('approvals').select('state').where('id', '=', pending.approvalId);
    assert.deepEqual(await row.executeTakeFirst(), { state: 'expired' });
  });

  it('top up a run that has used up its turns', async () => {
    const handle = await platform.start('reader', '5');
    await untilPhase(handle, 'waiting');
    assert.equal((await stateOf(handle)).turn, 4);
    await update(handle, 'topUpBudget', { topUp: { turns: 5 } });
    assert.equal(await answerOf(handle), 'Enough.');
    const ended = await platform.start('reader', '5', { whenExhausted: 'end' });
    assert.deepEqual((await ended.result()).outcome, { kind: 'budget-exhausted', dimension: 'turns' });
  });

  it('top up a run that has used up its money', async () => {
    const handle = await platform.start('echo', 'Hi.', { limits: { costPico: '1000' } });
    await untilPhase(handle, 'waiting');
    assert.equal(
      scripts['echo']?.views.filter(({ parts }) => parts.some((part) => 'text' in part && part.text === 'Hi.')).length,
      0,
    );
    await update(handle, 'topUpBudget', { topUp: { costPico: '1000000000000' } });
    assert.equal(await answerOf(handle), 'Hi.');
    const account = platform.db
      .selectFrom('budget_accounts')
      .select('cap_pico')
      .where('kind', '=', 'run')
      .where('id', '=', handle.workflowId);
    assert.deepEqual(await account.executeTakeFirst(), { cap_pico: '1000000001000' });
    const ended = await platform.start('echo', 'Hi.', { limits: { costPico: '1000' }, whenExhausted: 'end' });
    assert.deepEqual((await ended.result()).outcome, { kind: 'budget-exhausted', dimension: 'usd' });
  });

  it('answer a question of the model', async () => {
    const handle = await platform.start('asker', 'Where is it?');
    const { question: asked } = await untilAsked(platform, handle, 'question');
    assert.equal(asked, 'Which order?');
    await untilPhase(handle, 'waiting');
    await update(handle, 'provideInput', { text: 'A-1012' });
    assert.equal(await answerOf(handle), 'You said: "A-1012"');
  });

  it('are counted in the usage', async () => {
    const handle = await platform.start('reader', '1');
    await handle.result();
    const usage = await handle.query(usageQuery);
    assert.deepEqual([usage.turns, usage.toolCalls], [2, 1]);
    assert.ok(usage.activeMs > 0 && BigInt(usage.costPico) > 0n);
  });
});
