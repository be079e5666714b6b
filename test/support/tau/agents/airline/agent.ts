import { tauAgent } from '../../tau-agent.ts';

export const agent = tauAgent('airline', 'airline', process.env['TAU_MODEL'] ?? 'openai:tau');
