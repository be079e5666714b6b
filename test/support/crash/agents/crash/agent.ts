import { defineAgent } from '../../../../../src/authoring/index.ts';
import { playPlan } from '../../plan.ts';
import {
  beginReading,
  lookUp,
  lookUpSlowly,
  orderKeyed,
  payBlind,
  payKeyed,
  payOnce,
  payPatiently,
  payReconcilable,
  payUncertain,
} from './tools.ts';

/** Does what its input says, with tools that call the tests' own destination. */
export const agent = defineAgent({
  name: 'crash',
  owner: 'tests',
  purpose: 'Plays plans for the tests that kill processes.',
  requirements: { latencyP95Ms: 60_000, costPerRunUsd: 10 },
  instructions: 'Play the plan.',
  models: { standard: { id: 'rehearsal:crash', outputTokensMax: 500, contextTokensMax: 100_000 } },
  tools: [
    payKeyed,
    payReconcilable,
    payUncertain,
    payBlind,
    payPatiently,
    payOnce,
    lookUp,
    lookUpSlowly,
    orderKeyed,
    beginReading,
  ],
  approvals: [{ name: 'large-payment', tool: 'payKeyed', when: { path: 'amount', above: 1_000_000 } }],
  rehearsal: ({ parts }) => {
    const input = parts.find((part) => part.kind === 'user-text')?.text ?? '{"turns":[]}';
    return playPlan(input, parts.filter((part) => part.kind === 'tool-result').length);
  },
});
