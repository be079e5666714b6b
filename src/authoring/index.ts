export { defineAgent, type Agent, type Rehearsal, type RehearsalReply, type RehearsalView } from './define-agent.ts';
export { defineTool, type Reconciliation, type Tool, type ToolContext } from './define-tool.ts';
export { ToolRefusal, ToolUnreachable } from './tool-errors.ts';
