import { z } from 'zod';
import type { RehearsalReply } from '../../../src/authoring/index.ts';
import type { JsonValue } from '../../../src/domain/json.ts';

/** What a run of the crash agent does: its input, as JSON. Each turn makes the calls of one entry, and then it answers. */
export type Plan = {
  readonly turns: readonly (readonly { readonly tool: string; readonly input: Record<string, JsonValue> }[])[];
};

const planSchema = z.object({
  turns: z.array(z.array(z.object({ tool: z.string(), input: z.record(z.string(), z.json()) }))),
});

/** Plays a plan: what the model says depends only on the plan and on how many results there are. */
export function playPlan(input: string, results: number): RehearsalReply {
  const { turns } = planSchema.parse(JSON.parse(input)) as Plan;
  let before = 0;
  for (const turn of turns) {
    if (results === before) return { toolCalls: turn };
    before += turn.length;
  }
  return { text: `done after ${results} results` };
}
