import { tauAgent } from '../../tau-agent.ts';

export const agent = tauAgent('retail', 'retail', process.env['TAU_MODEL'] ?? 'openai:tau');
