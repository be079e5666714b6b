// Goal: from the command line a person sees which tool calls wait for a result, and gives it.
// Method: real Temporal, PostgreSQL and workers with a deferred tool; the commands run in this process.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { scripted } from '../../src/activities/model/scripted-model.ts';
import { defineTool } from '../../src/authoring/index.ts';
import type { DeferredRecord } from '../../src/domain/schemas/run-records.ts';
import { startTestServers, testFolder } from '../support/servers.ts';
import { type Platform, startPlatform } from '../support/workflow/platform.ts';
import { answerOf, untilPhase } from '../support/workflow/talk.ts';
import { testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';
import { capturedCli, type Ended } from './captured-cli.ts';

describe('command line: tool', function () {
  this.timeout(120_000);
  let platform: Platform;
  let env: NodeJS.ProcessEnv;
  let perdure: (...parameters: readonly string[]) => Promise<Ended>;

  before(async () => {
    const requestQuote = defineTool({
      name: 'requestQuote',
      version: '2.1.0',
      description: 'Asks a supplier.',
      owner: 'tests',
      input: z.object({ id: z.string() }),
      output: z.object({ priceUsd: z.number() }),
      effect: 'write',
      deferred: { timeoutMs: 3 * 24 * 60 * 60 * 1000 },
      run: async ({ id }) => `mail to\nsupplier ${id}`,
    });
    const buyer = scripted(({ parts }) => {
      const last = parts.findLast((part) => part.kind === 'tool-result');
      if (last !== undefined) return { text: `outcome: ${JSON.stringify(last.output)}` };
      return { toolCalls: [{ tool: 'requestQuote', input: { id: 'desk' } }] };
    });
    platform = await startPlatform({ agents: [testAgent('buyer', { tools: [requestQuote] })], scripts: { buyer } });
    const { temporal, postgres } = await startTestServers();
    env = {
      TEMPORAL_ADDRESS: temporal.address,
      TEMPORAL_NAMESPACE: temporal.namespace,
      DATABASE_URL: postgres.url,
      PERDURE_QUEUE_PREFIX: platform.queuePrefix,
    };
    perdure = capturedCli(env);
  });
  after(async () => platform.close());

  const startBuying = async () => {
    const handle = await platform.start('buyer', 'Buy.');
    await untilPhase(handle, 'waiting');
    const id = handle.workflowId;
    const listed = await perdure('tool', 'ls', '--run', id, '--json');
    const [call] = JSON.parse(listed.out) as readonly DeferredRecord[];
    return { handle, id, token: call?.token ?? assert.fail(listed.said) };
  };

  it('lists what waits, with token, run, tool, age, deadline and note', async () => {
    const { id, token, handle } = await startBuying();
    const { out } = await perdure('tool', 'ls', '--tenant', platform.tenant);
    const [heading, row] = out.split('\n');
    assert.match(heading ?? '', /^token +run +tool +waits for +time left +note$/);
    assert.match(row ?? '', new RegExp(`^${token}  ${id}  requestQuote@2 +[\\d.]+ m?s +3 d +mail to supplier desk$`));
    const shown = (await perdure('run', 'show', id)).out;
    assert.match(shown, /Waits for the result of requestQuote@2, until 20.* UTC\n {2}mail to\n {2}supplier desk\n/);
    assert.ok(shown.includes(`perdure tool complete ${token} --output 'JSON'`));
    await handle.cancel();
    await handle.result();
    await until('the list without it', async () => {
      const ended = await perdure('tool', 'ls', '--run', id);
      return ended.out === '' && ended.said === 'no tool call waits for a result';
    });
  });

  it('completes a call with JSON, once', async () => {
    const { id, token, handle } = await startBuying();
    const complete = ['tool', 'complete', token, '--output', '{"priceUsd":120}', '--as', 'anna'];
    const completed = await perdure(...complete, '--json');
    assert.deepEqual(JSON.parse(completed.out), { token, result: 'applied' });
    assert.equal(completed.exitCode, 0);
    assert.equal(await answerOf(handle), 'outcome: {"priceUsd":120}');
    assert.match((await perdure('run', 'show', id, '--audit')).out, /anna {2}tool\.completed .*requestQuote@2/);
    const late = await perdure(...complete);
    assert.deepEqual([late.exitCode, /the run has ended/.test(late.said)], [5, true]);
  });

  it('reads the result from a file or from stdin, and takes words instead', async () => {
    const file = join(await testFolder(), 'quote.json');
    writeFileSync(file, '{ "priceUsd": 7 }\n');
    const byFile = await startBuying();
    assert.equal((await perdure('tool', 'complete', byFile.token, '--output-file', file)).out, 'applied');
    assert.equal(await answerOf(byFile.handle), 'outcome: {"priceUsd":7}');
    const byStdin = await startBuying();
    const piped = capturedCli(env, { stdin: '{"priceUsd":8}' });
    assert.equal((await piped('tool', 'complete', byStdin.token, '--output-file', '-')).out, 'applied');
    assert.equal(await answerOf(byStdin.handle), 'outcome: {"priceUsd":8}');
    const byWords = await startBuying();
    assert.equal((await perdure('tool', 'complete', byWords.token, '--error', 'They have closed.')).out, 'applied');
    assert.equal(await answerOf(byWords.handle), 'outcome: "They have closed."');
  });

  it('tells whoever follows the run or talks to it what it waits for', async () => {
    const { id, token } = await startBuying();
    const tailed = perdure('run', 'tail', id);
    // A look at the run is 200 ms; what it shows first is what the run waits for now.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await perdure('tool', 'complete', token, '--output', '{"priceUsd":1}');
    assert.match((await tailed).said, /Waits for the result of requestQuote@2, until [^]*perdure tool complete /);

    const cwd = await testFolder();
    mkdirSync(join(cwd, 'agents', 'buyer'), { recursive: true });
    const authoring = join(process.cwd(), 'src/authoring/index.ts');
    const spec = `name: 'buyer', owner: 'tests', purpose: 'Buys.', requirements: { latencyP95Ms: 1, costPerRunUsd: 1 }`;
    const text = `import { defineAgent } from '${authoring}';
export const agent = defineAgent({ ${spec}, instructions: '', models: { standard: { id: 'scripted:buyer', outputTokensMax: 1, contextTokensMax: 1 } }, tools: [] });\n`;
    writeFileSync(join(cwd, 'agents', 'buyer', 'agent.ts'), text);
    const chatted = capturedCli(env, { cwd, stdin: 'Buy.\n' })('chat', 'buyer', '--tenant', platform.tenant);
    const call = await until('the call', async () => {
      const listed = await perdure('tool', 'ls', '--tenant', platform.tenant, '--json');
      return (JSON.parse(listed.out) as readonly DeferredRecord[])[0];
    });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await perdure('tool', 'complete', call.token, '--output', '{"priceUsd":2}');
    const { out, said } = await chatted;
    assert.equal(out, 'outcome: {"priceUsd":2}');
    assert.equal(
      said.split('\n').filter((line) => line === 'it waits for the result of requestQuote: perdure tool ls').length,
      1,
    );
    await platform.client.workflow.getHandle(call.runId).cancel();
  });

  it('says what is wrong, and ends with the code for it', async () => {
    const { token, handle } = await startBuying();
    const guess = `${token.slice(0, -22)}${'0'.repeat(22)}`;
    const nobody = `${'0'.repeat(22)}_1_0_${'0'.repeat(22)}`;
    for (const [parameters, exitCode, said] of [
      [[token], 2, /say one of --output <json>, --output-file <file>, --error <text>/],
      [[token, '--output', '1', '--error', 'no'], 2, /say one of/],
      [[token, '--output', '{'], 2, /--output must be JSON/],
      [[token, '--output-file', '/nowhere/quote.json'], 2, /--output-file cannot be read/],
      [[token, '--error', ' '], 2, /error must not be empty/],
      [['none', '--output', '1'], 2, /token must be one that a deferred tool was given; perdure tool ls lists/],
      [[guess, '--output', '1'], 5, /the token is not the one that requestQuote was given/],
      [[nobody, '--output', '1'], 4, /there is no run 0{22}/],
      [[token, '--outputs', '1'], 2, /Did you mean --output\?/],
    ] as const) {
      const ended = await perdure('tool', 'complete', ...parameters);
      assert.deepEqual([ended.exitCode, said.test(ended.said)], [exitCode, true], ended.said);
    }
    assert.match((await perdure('tool', 'lss')).said, /Did you mean ls\?/);
    for (const command of ['ls', 'complete']) {
      assert.match((await perdure('tool', command, '--help')).out, /Examples:\n {2}\$ perdure tool /);
    }
    await handle.cancel();
    await handle.result();
  });
});
