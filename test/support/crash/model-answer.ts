import type { Behaviour, ProviderRequest } from '../provider-server.ts';
import { playPlan } from './plan.ts';

/** Plays the plan of a run in the words of a provider, after `delayMs`. */
export function answerByPlan(delayMs = 0): (request: ProviderRequest) => Behaviour {
  return ({ messages }) => {
    const input = messages.find(({ role }) => role === 'user')?.content;
    const text = typeof input === 'string' ? input : ((input as readonly { text: string }[])[0]?.text ?? '');
    const reply = playPlan(text, messages.filter(({ role }) => role === 'tool').length);
    return {
      kind: 'reply',
      delayMs,
      ...(reply.text === undefined ? {} : { text: reply.text }),
      toolCalls: (reply.toolCalls ?? []).map(({ tool, input: args }) => ({ name: tool, arguments: args })),
    };
  };
}

/** Lets a worker call the tests' provider instead of playing the model itself. */
export function providerEnvironment(baseUrl: string): Record<string, string> {
  return { PERDURE_MODEL_BASE_URL: baseUrl, PERDURE_MODEL: 'paid', PERDURE_MODEL_CEILING_USD_PER_MTOK: '1' };
}
