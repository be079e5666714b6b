/** What a tool's author needs: `perdure/tool`. */
export type { JsonValue } from '../domain/json.ts';
export type { EffectClass, ToolContract } from '../domain/tool/contract.ts';
export {
  defineTool,
  type DeferredToolContext,
  type Reconciliation,
  type Tool,
  type ToolContext,
  type ToolSpec,
} from './define-tool.ts';
export { ToolRefusal, ToolUnreachable } from './tool-errors.ts';
