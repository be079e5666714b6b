import type { LanguageModelV4 } from '@ai-sdk/provider';
import type { Rehearsal } from '../../authoring/define-agent.ts';
import { inProcessModel } from './in-process-model.ts';

/** Lets an agent's rehearsal play its model: the same transcript always gets the same reply, call ids and usage. */
export function rehearsalModel(agent: string, rehearsal: Rehearsal): LanguageModelV4 {
  return inProcessModel('rehearsal', agent, async (view) => rehearsal(view));
}
