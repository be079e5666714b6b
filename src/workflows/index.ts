export { agentRun } from './agent-run.ts';
export { startScheduledRun } from './start-scheduled-run.ts';
