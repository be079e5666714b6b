// Goal: `run retry` says what it does and what it cannot do, each with its own exit code.
// Method: commands in this process against living servers and workers with a model and a destination of our own.
import assert from 'node:assert/strict';
import { untilAsked, untilPhase, update } from '../support/workflow/talk.ts';
import { LARGE, openTakingUp, type TakingUp } from '../support/workflow/taking-up.ts';

describe('command line: run retry', function () {
  this.timeout(120_000);
  let lab: TakingUp;
  before(async () => {
    lab = await openTakingUp();
  });
  after(async () => lab?.close());

  const ended = async (): Promise<string> => {
    const handle = await lab.startPlan({ turns: [[{ tool: 'lookUp', input: { case: 'a', ms: 0 } }]] });
    await handle.result();
    return handle.workflowId;
  };

  it('prints the successor and how to follow it, the same one for the same key', async () => {
    const id = await ended();
    const taken = await lab.perdure('run', 'retry', id, '--from-turn', '2', '--key', 'k', '--as', 'anna');
    assert.equal(taken.exitCode, 0);
    assert.match(taken.out, /^\w{22}$/);
    assert.equal(taken.said, `takes up run ${id} from turn 2. Follow it: perdure run tail ${taken.out}`);
    const again = await lab.perdure('run', 'retry', id, '--from-turn', '2', '--key', 'k', '--json');
    assert.deepEqual(JSON.parse(again.out), { id: taken.out, retryOf: id, fromTurn: 2, webUi: null });
    assert.equal((await lab.perdure('run', 'tail', taken.out)).out, 'done after 1 results');
    const shown = JSON.parse((await lab.perdure('run', 'show', taken.out, '--json')).out) as { run: object };
    const { retryOf, principal } = shown.run as { retryOf: object; principal: string };
    assert.deepEqual([retryOf, principal], [{ id, fromTurn: 2 }, 'anna']);
    const before = await lab.perdure('run', 'show', id, '--audit');
    assert.match(before.out, new RegExp(`retried as ${taken.out}[^]*anna {2}run.retry`));
  });

  it('spends at most what it is told to', async () => {
    const taken = await lab.perdure(
      'run',
      'retry',
      await ended(),
      '--from-turn',
      '1',
      '--limit-usd',
      '0.000001',
      '--follow',
    );
    assert.equal(taken.exitCode, 1);
    assert.match(taken.said, /budget-exhausted \(usd\)/);
  });

  it('says retry to a run that lives, and takes nothing else for it', async () => {
    const handle = await lab.startPlan({ turns: [[{ tool: 'payKeyed', input: { case: 'b', amount: LARGE } }]] });
    await untilAsked(lab.platform, handle, 'approval');
    await untilPhase(handle, 'waiting');
    const { workflowId: id } = handle;
    assert.deepEqual(await lab.perdure('run', 'retry', id, '--key', 'r'), { exitCode: 0, out: 'applied', said: '' });
    assert.equal((await lab.perdure('run', 'retry', id, '--key', 'r')).out, 'already-applied');
    const refused = await lab.perdure('run', 'retry', id, '--from-turn', '1');
    assert.deepEqual(refused, {
      exitCode: 2,
      out: '',
      said: `error: run ${id} is waiting; --from-turn is for runs that have ended. End it first: perdure run stop ${id}`,
    });
    await update(handle, 'requestStop', { reason: 'done' });
    await handle.result();
  });

  it('refuses an unknown run, another tenant’s, and a turn that there is not', async () => {
    const id = await ended();
    const cases = [
      [['0000000000000000000000'], 4, /there is no run 0000000000000000000000; perdure run ls lists the newest/],
      [[id, '--tenant', 'other'], 4, new RegExp(`there is no run ${id} in tenant other`)],
      [
        [id, '--from-turn', '4'],
        2,
        new RegExp(`run ${id} has 2 turns: fromTurn must be a whole number from 1 to 3, got 4`),
      ],
      [[id, '--from-turn', '0'], 2, /It must be a whole number above 0/],
      [[id, '--limit-usd', 'much'], 2, /It must be an amount above 0 in USD/],
    ] as const;
    for (const [parameters, exitCode, message] of cases) {
      const refused = await lab.perdure('run', 'retry', ...parameters);
      assert.deepEqual([refused.exitCode, refused.out], [exitCode, ''], refused.said);
      assert.match(refused.said, message);
    }
  });

  it('is refused at admission too, whoever asks', async () => {
    const id = await ended();
    const living = await lab.startPlan({ turns: [[{ tool: 'payKeyed', input: { case: 'c', amount: LARGE } }]] });
    await untilAsked(lab.platform, living, 'approval');
    const take = async (options: object): Promise<string> => {
      const handle = await lab.platform.start('player', '', options);
      return JSON.stringify((await handle.result()).outcome);
    };
    const { tenant } = lab.platform;
    assert.match(
      await take({ retryOf: { runId: 'nobody' } }),
      new RegExp(`refused.*there is no run nobody in tenant ${tenant}`),
    );
    assert.match(
      await take({ retryOf: { runId: id }, tenant: 'other' }),
      /refused.*there is no run .* in tenant other/,
    );
    assert.match(await take({ retryOf: { runId: living.workflowId } }), /refused.*has not ended/);
    assert.match(
      await take({ retryOf: { runId: id, fromTurn: 4 } }),
      /refused.*has 2 turns, .*from turn 1 to 3, not 4/,
    );
    assert.match(await take({ retryOf: { runId: id, fromTurn: 1.5 } }), /refused.*not 1\.5/);
    assert.match(await take({ retryOf: { runId: id }, kind: 'conversation' }), /refused.*is a single of player/);
    await update(living, 'requestStop', { reason: 'done' });
    await living.result();
  });

  it('lets a person settle an effect that an ended run left intended', async () => {
    const id = await ended();
    const { db, tenant } = lab.platform;
    const position = { tenant, root: id, run_id: id, turn: 1, call_index: 0, args_hash: 'h' };
    const key = `left-intended-${tenant}`;
    const common = { ...position, key, attempt: 1, send_deadline: new Date(Date.now() - 60_000) };
    await db
      .insertInto('effects')
      .values({ ...common, tool: 'payBlind@1', contract: 'c', state: 'intended' })
      .execute();
    await db
      .insertInto('effect_attempts')
      .values({ ...common, worker: 'w-1', outcome: 'lost' })
      .execute();
    const resolved = await lab.perdure('effect', 'resolve', key, '--as', 'succeeded', '--reason', 'It is there.');
    assert.deepEqual([resolved.exitCode, resolved.out], [0, 'succeeded'], resolved.said);
    const again = await lab.perdure('effect', 'resolve', key, '--as', 'failed', '--reason', 'No.');
    assert.equal(again.exitCode, 5);
  });
});
