import { agent as research } from '../../../../../agents/research/agent.ts';
import type { Agent } from '../../../../../src/authoring/index.ts';

/** The agent of the examples with the model that a test names. */
export const agent: Agent = {
  ...research,
  models: { standard: { ...research.models.standard, id: process.env['RECORDED_MODEL'] ?? 'openai:gpt-5-mini' } },
};
