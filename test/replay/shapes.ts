import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { scripted, type ScriptedModel, type ScriptedReply } from '../../src/activities/model/scripted-model.ts';
import { type Agent, defineTool, ToolRefusal } from '../../src/authoring/index.ts';
import type { JsonValue } from '../../src/domain/json.ts';
import type { Platform, PlatformSetup, RunHandle } from '../support/workflow/platform.ts';
import type { ScheduledResult, ScheduledRun } from '../../src/domain/run/scheduled-run.ts';
import { signal, stateOf, untilAsked, untilPhase, update } from '../support/workflow/talk.ts';
import { lookupTool, payTool, testAgent } from '../support/workflow/test-agent.ts';
import { until } from '../support/workflow/until.ts';

/** Starts and drives one run of a shape, and gives its handle when it has ended or been left waiting. */
type Drive = (platform: Platform) => Promise<RunHandle>;

const calls = (...asked: readonly (readonly [tool: string, input: JsonValue])[]): ScriptedReply => ({
  toolCalls: asked.map(([tool, input]) => ({ tool, input })),
});
const pay = (amount: number): ScriptedReply => calls(['pay', { amount }]);
const approve = { kind: 'approve' } as const;

/** The scripts by agent: each shape has its own. */
function makeScripts(): Record<string, ScriptedModel> {
  const unreachable = Object.assign(new Error('fetch failed'), { code: 'ECONNREFUSED' });
  return {
    'one-answer': scripted([{ text: 'Hello.' }]),
    'one-message': scripted(({ call }) => ({ text: `Answer ${call}.` })),
    scheduled: scripted([{ text: 'Hello.' }]),
    'reads-and-writes': scripted([
      calls(['lookup', { id: 'a' }], ['lookup', { id: 'b' }], ['pay', { amount: 1 }], ['pay', { amount: 2 }]),
      calls(['refuse', { id: 'a' }], ['teleport', {}], ['lookup', { wrong: 1 }]),
      { text: 'Done.' },
    ]),
    'approval-approved': scripted([pay(200), { text: 'Paid.' }]),
    'approval-edited': scripted([pay(200), { text: 'Paid.' }]),
    'approval-rejected': scripted([pay(200), { text: 'Not paid.' }]),
    'approval-responded': scripted([pay(200), { text: 'Paid in cash.' }]),
    'approval-expired': scripted([pay(333), { text: 'Not paid.' }]),
    'question-answered': scripted([calls(['askPerson', { question: 'Which?' }]), { text: 'That one.' }]),
    'question-expired': scripted([calls(['askPerson', { question: 'Which?' }])]),
    conversation: scripted(({ call }) => ({ text: `Answer ${call}.` })),
    'paused-and-steered': scripted(({ parts }) =>
      parts.some((part) => part.kind === 'guidance')
        ? { text: 'As you say.' }
        : calls(['slow', { id: `${parts.length}` }]),
    ),
    'blocked-and-retried': scripted(({ call }) => (call <= 6 ? { error: unreachable } : { text: 'Back again.' })),
    'stopped-in-a-write': scripted([calls(['slowPay', { amount: 5 }])]),
    cancelled: scripted([{ text: 'Late.', delayMs: 30_000 }]),
    expired: scripted([pay(200)]),
    'turns-used-up': scripted([calls(['lookup', { id: 'a' }]), calls(['lookup', { id: 'b' }])]),
    'turns-topped-up': scripted([calls(['lookup', { id: 'a' }]), calls(['lookup', { id: 'b' }]), { text: 'Enough.' }]),
    'money-used-up': scripted([]),
    'blocked-by-a-guardrail': scripted([]),
    'repeated-calls': scripted(() => calls(['lookup', { id: 'same' }])),
    'revised-answer': scripted([{ text: 'Order A-9999 is yours.' }, { text: 'I do not know the order.' }]),
    'deferred-tools': scripted([
      calls(['earlyQuote', { id: 'a' }], ['lookup', { id: 'b' }]),
      calls(['quickQuote', { id: 'c' }], ['quote', { id: 'd' }]),
      { text: 'Bought.' },
    ]),
    compacted: scripted(({ parts, tools }) => {
      if (tools.length === 0) return { text: 'Two lookups.' };
      const last = parts.findLast((part) => part.kind === 'tool-call');
      const turn = Number(/^t(\d+)/.exec(last?.kind === 'tool-call' ? last.toolCallId : 't0')?.[1]);
      return turn < 3 ? calls(['lookup', { id: `${turn} `.padEnd(600, 'x') }]) : { text: 'Enough.' };
    }),
    throttled: scripted([calls(['lookup', { id: 'a' }]), calls(['lookup', { id: 'b' }]), { text: 'Late.' }]),
    'unknown-effect': scripted([calls(['lostPay', { amount: 7 }]), { text: 'Resolved.' }]),
    'taken-up': scripted([calls(['lookup', { id: 'a' }], ['pay', { amount: 200 }]), { text: 'Paid.' }]),
  };
}

/** Tokens of the deferred calls, by what they ask about. */
const tokens = new Map<string, string>();

/** Makes a tool whose result comes later; `ms` is how long it takes to begin. */
function quoteTool(name: string, timeoutMs: number, ms = 0) {
  return defineTool({
    name,
    version: '1.0.0',
    description: 'Asks a supplier.',
    owner: 'tests',
    input: z.object({ id: z.string() }),
    output: z.object({ priceUsd: z.number() }),
    effect: 'read',
    deferred: { timeoutMs },
    run: async ({ id }, context) => {
      tokens.set(id, context.token);
      await sleep(ms);
    },
  });
}

function makeAgents(scripts: Record<string, ScriptedModel>): Agent[] {
  const writeSpec = { version: '1.0.0', description: 'Pays.', effect: 'write', owner: 'tests' } as const;
  const input = z.object({ amount: z.number() });
  const output = z.object({ paid: z.number() });
  const tools = [
    lookupTool('lookup'),
    lookupTool('slow', async (key) => {
      await sleep(150);
      return key;
    }),
    lookupTool('refuse', () => {
      throw new ToolRefusal('No.');
    }),
    payTool({ arrived: [] }),
    quoteTool('quote', 60_000),
    quoteTool('quickQuote', 300),
    quoteTool('earlyQuote', 60_000, 600),
    defineTool({
      ...writeSpec,
      name: 'slowPay',
      input,
      output,
      run: async ({ amount }) => {
        await sleep(400);
        return { paid: amount };
      },
    }),
    defineTool({
      ...writeSpec,
      name: 'lostPay',
      input,
      output,
      timeoutMs: 300,
      run: async () => {
        throw new Error('socket hang up');
      },
    }),
  ];
  return Object.keys(scripts).map((name) =>
    testAgent(name, {
      tools,
      approvals: [
        { name: 'quick', tool: 'pay', when: { path: 'amount', equals: 333 }, deadlineMs: 300 },
        { name: 'above-100', tool: 'pay', when: { path: 'amount', above: 100 } },
      ],
      asksPerson: { deadlineMs: name === 'question-expired' ? 300 : 60_000 },
      guardrails: [{ name: 'no-secrets', pattern: 'secret', verdict: 'block' }],
      ...(name === 'compacted'
        ? { models: { standard: { id: `scripted:${name}`, outputTokensMax: 200, contextTokensMax: 1_400 } } }
        : {}),
      ...(name.startsWith('turns-') ? { limits: { turns: 2 } } : {}),
      ...(name === 'revised-answer' ? { reflection: { groundedPatterns: ['[A-Z]-\\d{4}'], revisionsMax: 1 } } : {}),
    }),
  );
}

/** What the workers of the shapes need. Three turns an execution, so that a short conversation continues as new. */
export function shapesSetup(): PlatformSetup {
  const scripts = makeScripts();
  // Two calls in four seconds: the third waits.
  const limits = { 'scripted:throttled': { requestsPerMinute: 30, windowSeconds: 4 } };
  const env = { PERDURE_TURNS_PER_EXECUTION: '3', PERDURE_MODEL_LIMITS: JSON.stringify(limits) };
  return { agents: makeAgents(scripts), scripts, env };
}

const toTheEnd =
  (agent: string, input = 'Go.', options = {}): Drive =>
  async (platform) => {
    const handle = await platform.start(agent, input, options);
    await handle.result();
    return handle;
  };

const decided =
  (agent: string, decision: Parameters<typeof update<'decideApproval'>>[2]['decision']): Drive =>
  async (platform) => {
    const handle = await platform.start(agent, 'Pay.');
    const pending = await untilAsked(platform, handle, 'approval');
    await update(handle, 'decideApproval', { ...pending, decision });
    await handle.result();
    return handle;
  };

/** One run of every shape, by the name of its history. */
export const SHAPES: Readonly<Record<string, Drive>> = {
  'one-answer': toTheEnd('one-answer'),
  'one-message': async (platform) => {
    const begin = async (text: string, answer: string, more = {}) => {
      const run = await platform.start('one-message', text, { kind: 'conversation', inputKey: 'm1', ...more });
      await until('answer', async () => (await stateOf(run)).answer?.preview === answer);
      return run;
    };
    const before = await begin('One.', 'Answer 1.');
    await update(before, 'requestStop', { reason: 'enough' });
    await before.result();
    const handle = await begin('Two.', 'Answer 2.', { previous: before.workflowId });
    await update(handle, 'provideInput', { id: 'm1', text: 'Two.' });
    await update(handle, 'provideInput', { id: 'm2', text: 'Three.', attachments: ['AAAAAAAAAAAAAAAAAAAAAA'] });
    await until('answer', async () => (await stateOf(handle)).answer?.preview === 'Answer 3.');
    await update(handle, 'requestStop', { reason: 'enough' });
    await handle.result();
    return handle;
  },
  scheduled: async (platform) => {
    const scheduled: ScheduledRun = {
      tenant: platform.tenant,
      principal: 'ann',
      agent: 'scheduled',
      input: 'Go.',
      kind: 'single',
      mode: 'live',
      whenExhausted: 'end',
      scheduleId: 'often',
      deadlineMs: 60_000,
      summary: 'scheduled · Go.',
    };
    const workflowId = `schedule:${platform.tenant}:often`;
    const handle = await platform.client.workflow.start<(given: ScheduledRun) => Promise<ScheduledResult>>(
      'startScheduledRun',
      { args: [scheduled], workflowId, taskQueue: `${platform.queuePrefix}-agents`, workflowTaskTimeout: '2s' },
    );
    await handle.result();
    return handle as unknown as RunHandle;
  },
  'reads-and-writes': toTheEnd('reads-and-writes'),
  'approval-approved': decided('approval-approved', approve),
  'approval-edited': async (platform) => {
    const handle = await platform.start('approval-edited', 'Pay.');
    const pending = await untilAsked(platform, handle, 'approval');
    await update(handle, 'decideApproval', { ...pending, decision: { kind: 'edit', arguments: { amount: -1 } } });
    await until('refusal', async () => (await stateOf(handle)).rejectedMessages.length === 1);
    await signal(handle, 'decideApproval', { ...pending, decision: { kind: 'edit', arguments: { amount: 150 } } });
    await handle.result();
    return handle;
  },
  'approval-rejected': decided('approval-rejected', { kind: 'reject', reason: 'Too much.' }),
  'approval-responded': decided('approval-responded', { kind: 'respond', text: 'In cash.' }),
  'approval-expired': toTheEnd('approval-expired'),
  'question-answered': async (platform) => {
    const handle = await platform.start('question-answered', 'Where?');
    await untilAsked(platform, handle, 'question');
    await update(handle, 'provideInput', { text: 'The red one.' });
    await handle.result();
    return handle;
  },
  'question-expired': toTheEnd('question-expired'),
  conversation: async (platform) => {
    const handle = await platform.start('conversation', 'One.', { kind: 'conversation' });
    for (let turn = 1; turn <= 7; turn += 1) {
      await until(`answer ${turn}`, async () => (await stateOf(handle)).answer?.preview === `Answer ${turn}.`);
      if (turn % 2 === 0) await signal(handle, 'provideInput', { text: 'Go on.' });
      else await update(handle, 'provideInput', { text: 'Go on.' });
    }
    await until('last answer', async () => (await stateOf(handle)).answer?.preview === 'Answer 8.');
    await update(handle, 'requestStop', { reason: 'enough' });
    await handle.result();
    return handle;
  },
  'paused-and-steered': async (platform) => {
    const handle = await platform.start('paused-and-steered', 'Go.');
    await until('turn', async () => (await stateOf(handle)).turn > 0);
    await update(handle, 'pause', {});
    await untilPhase(handle, 'paused');
    await signal(handle, 'steer', { text: 'Stop that.' });
    await signal(handle, 'steer', { text: '' });
    await update(handle, 'resume', {});
    await handle.result();
    return handle;
  },
  'blocked-and-retried': async (platform) => {
    const handle = await platform.start('blocked-and-retried', 'Go.');
    await untilPhase(handle, 'blocked');
    await update(handle, 'retry', {});
    await handle.result();
    return handle;
  },
  'stopped-in-a-write': async (platform) => {
    const handle = await platform.start('stopped-in-a-write', 'Go.');
    await until('turn', async () => (await stateOf(handle)).turn > 0);
    await update(handle, 'requestStop', { reason: 'changed my mind' });
    await handle.result();
    return handle;
  },
  cancelled: async (platform) => {
    const handle = await platform.start('cancelled', 'Go.');
    await sleep(300);
    await handle.cancel();
    await handle.result();
    return handle;
  },
  expired: async (platform) => {
    const handle = await platform.start('expired', 'Go.', { deadlineAt: Date.now() + 1_000 });
    await handle.result();
    return handle;
  },
  'turns-used-up': toTheEnd('turns-used-up', 'Go.', { whenExhausted: 'end' }),
  'turns-topped-up': async (platform) => {
    const handle = await platform.start('turns-topped-up', 'Go.');
    await untilPhase(handle, 'waiting');
    await update(handle, 'topUpBudget', { topUp: { turns: 5 } });
    await handle.result();
    return handle;
  },
  'money-used-up': toTheEnd('money-used-up', 'Go.', { limits: { costPico: '1' }, whenExhausted: 'end' }),
  'unknown-agent': toTheEnd('nobody'),
  'blocked-by-a-guardrail': toTheEnd('blocked-by-a-guardrail', 'Tell me a secret.'),
  'repeated-calls': toTheEnd('repeated-calls'),
  'revised-answer': toTheEnd('revised-answer'),
  'deferred-tools': async (platform) => {
    const handle = await platform.start('deferred-tools', 'Buy.');
    const result = { output: { priceUsd: 12 } };
    const early = await until('the early token', async () => tokens.get('a'));
    await signal(handle, 'completeTool', { token: `${early.slice(0, -22)}${'0'.repeat(22)}`, result });
    await signal(handle, 'completeTool', { token: early, result });
    const token = await until('the last token', async () => tokens.get('d'));
    await until('the expired call', async () => (await stateOf(handle)).deferred.length === 1);
    await update(handle, 'steer', { text: 'Be quick.' });
    await until('guidance', async () => (await stateOf(handle)).waitingMessages === 0);
    await update(handle, 'pause', {});
    await untilPhase(handle, 'paused');
    await update(handle, 'resume', {});
    await update(handle, 'completeTool', { token, result: { error: 'Sold out.' } });
    await handle.result();
    return handle;
  },
  compacted: toTheEnd('compacted', 'Look up three.'),
  throttled: async (platform) => {
    const handle = await platform.start('throttled', 'Go.');
    await until('the wait', async () => (await stateOf(handle)).throttle !== null);
    await signal(handle, 'steer', { text: 'Be quick.' });
    await until('guidance', async () => (await stateOf(handle)).waitingMessages === 0);
    await update(handle, 'pause', {});
    await untilPhase(handle, 'paused');
    await update(handle, 'resume', {});
    await handle.result();
    return handle;
  },
  'unknown-effect': async (platform) => {
    const handle = await platform.start('unknown-effect', 'Go.');
    const effectKey = await until('unknown effect', async () => (await stateOf(handle)).unknownEffect);
    const ref = 'AAAAAAAAAAAAAAAAAAAAAA';
    const word = { state: 'failed', ref, principal: 'bea', reason: 'looked it up' } as const;
    await platform.stores.effects.resolve(platform.tenant, effectKey, word);
    await update(handle, 'requestStop', { reason: 'recorded' });
    await handle.result();
    return handle;
  },
  'taken-up': async (platform) => {
    const stopped = await platform.start('taken-up', 'Go.');
    await untilAsked(platform, stopped, 'approval');
    await update(stopped, 'requestStop', { reason: 'lunch' });
    await stopped.result();
    const handle = await platform.start('taken-up', '', { retryOf: { runId: stopped.workflowId } });
    const pending = await untilAsked(platform, handle, 'approval');
    await update(handle, 'decideApproval', { ...pending, decision: approve });
    await handle.result();
    return handle;
  },
  'started-again': async (platform) => {
    const startKey = 'the-same';
    const first = await platform.start('conversation', 'One.', { startKey });
    await first.result();
    const second = await platform.start('conversation', 'One.', { startKey });
    await second.result();
    return second;
  },
};
