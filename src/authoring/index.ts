export type { AgentOutput } from './agent-output.ts';
export {
  defineAgent,
  type Agent,
  type AgentSpec,
  type Rehearsal,
  type RehearsalReply,
  type RehearsalView,
  type Requirements,
} from './define-agent.ts';
export {
  defineTool,
  type DeferredToolContext,
  type Reconciliation,
  type Tool,
  type ToolContext,
  type ToolSpec,
} from './define-tool.ts';
export { ToolRefusal, ToolUnreachable } from './tool-errors.ts';
export type { JsonObject, JsonValue } from '../domain/json.ts';
export type { MessagePart } from '../domain/model/message-part.ts';
export type { ModelChoice, ModelParameters, ModelPolicy, Tier, TierChoice } from '../domain/model/model-policy.ts';
export type { ApprovalRule } from '../domain/policy/approval-policy.ts';
export type { Condition } from '../domain/policy/condition.ts';
export type { InputGuardrail } from '../domain/policy/guardrail.ts';
export type { ReflectionPolicy } from '../domain/policy/reflection.ts';
export type { ExitPolicy, ExitRule } from '../domain/run/exit-policy.ts';
export type { EffectClass, ToolContract } from '../domain/tool/contract.ts';
