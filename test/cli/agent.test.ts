// Goal: agents are listed and shown as a worker would register them, and a new one works at once or is not made at all.
// Method: the reference agents; new ones in a folder that looks like a checkout, where they are compiled, formatted and tested.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { agent as support } from '../../agents/support/agent.ts';
import { buildRelease } from '../../src/activities/release/agent-release.ts';
import { releaseId } from '../../src/domain/release/release.ts';
import { loadAgents } from '../../src/workers/load-agents.ts';
import { testFolder } from '../support/servers.ts';
import { ROOT } from '../tidy/repository.ts';
import { capturedCli, type Ended } from './captured-cli.ts';

/** As long as a name may be, where lines are most likely to need another break. */
const LONGEST = `a${'-agent'.repeat(7)}-name`;

describe('perdure agent', function () {
  this.timeout(60_000);

  describe('ls and show', () => {
    const perdure = capturedCli({ PERDURE_AGENTS_DIR: join(ROOT, 'agents') });

    it('lists agents with the model they would get here', async () => {
      const [heading = '', ...rows] = (await perdure('agent', 'ls')).out.split('\n');
      assert.match(heading, /^name +owner +tools +cap +model +purpose$/);
      assert.match(
        rows.find((row) => row.startsWith('support')) ?? '',
        /^support +shop-support +7 +0\.25 USD +rehearsal:support +Answers customers/,
      );
      const withKey = capturedCli({ PERDURE_AGENTS_DIR: join(ROOT, 'agents'), OPENAI_API_KEY: 'k' });
      const listed = JSON.parse((await withKey('agent', 'ls', '--json')).out) as { name: string; model: string }[];
      assert.equal(listed.find(({ name }) => name === 'support')?.model, 'openai:gpt-5-mini');
    });

    it('shows an agent, with the id that its release would have', async () => {
      const shown = await perdure('agent', 'show', 'support');
      const id = releaseId(buildRelease(support, (model) => model));
      for (const expected of [
        `release ${id}`,
        '95 % of runs work at most 20.0 s · 0.25 USD a run',
        '0.25 USD · 2,000,000 tokens · 20 turns · 40 tool calls · 3 min of work',
        'refund-above-100-usd  refundOrder when amountUsd is above 100 · 1 d, then reject',
        'card-number  redact  ',
      ]) {
        assert.ok(shown.out.includes(expected), `${expected}\nin\n${shown.out}`);
      }
      assert.match(shown.out, /searchProducts 1\.0\.0 +read +1\.0 s +the run’s queue +called again, 3 times at most/);
      assert.match(shown.out, /refundOrder 1\.0\.0 +write +10\.0 s +tools +sent again, same key/);
      const view = JSON.parse((await perdure('agent', 'show', 'support', '--json')).out) as Record<string, unknown>;
      assert.deepEqual([view['release'], view['name']], [id, 'support']);
    });

    it('says which agents there are when it knows none of that name', async () => {
      const ended = await perdure('agent', 'show', 'suport');
      assert.deepEqual([ended.exitCode, ended.out], [4, '']);
      assert.match(ended.said, /Did you mean support\?/);
    });
  });

  describe('new', () => {
    let checkout: string;
    let perdure: (...parameters: readonly string[]) => Promise<Ended>;

    before(async () => {
      checkout = await testFolder();
      mkdirSync(join(checkout, 'agents'));
      for (const name of ['src', 'node_modules']) symlinkSync(join(ROOT, name), join(checkout, name));
      for (const name of ['package.json', 'tsconfig.json', '.prettierrc.json']) {
        cpSync(join(ROOT, name), join(checkout, name));
      }
      perdure = capturedCli({}, { cwd: checkout });
    });

    it('makes an agent and says what comes next', async () => {
      const made = await perdure('agent', 'new', 'order-desk');
      assert.deepEqual(
        [made.exitCode, made.out.split('\n')],
        [
          0,
          [
            ...['agent.ts', 'notes.ts', 'rehearsal.ts', 'README.md'].map((file) => `agents/order-desk/${file}`),
            'test/agents/order-desk/order-desk.test.ts',
          ],
        ],
      );
      assert.match(made.said, /Next\n {2}npx mocha test\/agents\/order-desk\/order-desk\.test\.ts\n {2}npm start/);
      const other = JSON.parse((await perdure('agent', 'new', LONGEST, '--json')).out) as { name: string };
      assert.equal(other.name, LONGEST);
      assert.equal(LONGEST.length, 48);
    });

    it('makes agents that a worker can load', async () => {
      const agents = await loadAgents(join(checkout, 'agents'));
      assert.deepEqual([...agents.keys()], [LONGEST, 'order-desk']);
      const tools = agents.get('order-desk')?.tools ?? [];
      assert.deepEqual(
        tools.map(({ contract, destinationHoldsKeys }) => [contract.effect, destinationHoldsKeys]),
        [
          ['read', false],
          ['write', true],
        ],
      );
    });

    it('makes code that compiles and is formatted', async () => {
      await inCheckout('typescript/bin/tsc', '--noEmit', '--pretty', 'false');
      await inCheckout('prettier/bin/prettier.cjs', '--check', 'agents', 'test');
    });

    it('makes tests that pass at once', async () => {
      const { stdout } = await inCheckout('mocha/bin/mocha.js', '--extension', 'test.ts', '--recursive', 'test/agents');
      assert.match(stdout, /6 passing/);
      assert.doesNotMatch(stdout, /failing|pending/);
    });

    it('changes nothing that exists', async () => {
      const before = readFileSync(join(checkout, 'agents/order-desk/agent.ts'), 'utf8');
      const again = await perdure('agent', 'new', 'order-desk');
      assert.deepEqual(
        [again.exitCode, again.said],
        [5, 'error: agents/order-desk exists already; nothing was changed'],
      );
      assert.equal(readFileSync(join(checkout, 'agents/order-desk/agent.ts'), 'utf8'), before);
      mkdirSync(join(checkout, 'test/agents/tested'), { recursive: true });
      assert.equal((await perdure('agent', 'new', 'tested')).exitCode, 5);
      assert.equal(existsSync(join(checkout, 'agents/tested')), false);
    });

    for (const name of ['Order', '1st', 'order_desk', 'order--desk', 'order-', '../order', `${LONGEST}x`]) {
      it(`refuses the name ${name}`, async () => {
        const ended = await perdure('agent', 'new', name);
        assert.equal(ended.exitCode, 2);
        assert.match(ended.said, /A name is kebab-case: small letters, digits and single dashes/);
      });
    }

    it('needs a folder for agents', async () => {
      const ended = await capturedCli({}, { cwd: join(checkout, 'agents/order-desk') })('agent', 'new', 'lost');
      assert.deepEqual([ended.exitCode, /there is no folder .*agents; run this where/.test(ended.said)], [1, true]);
    });

    function inCheckout(program: string, ...parameters: readonly string[]) {
      const script = join(ROOT, 'node_modules', program);
      return promisify(execFile)(process.execPath, [script, ...parameters], { cwd: checkout });
    }
  });
});
