import type {
  AdmitInput,
  CallModelInput,
  CompactInput,
  ExecuteToolInput,
  PerceiveInput,
  RecordEndInput,
  RecordProgressInput,
  ReflectInput,
  RequestApprovalInput,
  SettleApprovalInput,
  SettleDeferredInput,
} from '../domain/run/activity-inputs.ts';
import type { ToolResult, Worked } from '../domain/run/results.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { requestApproval, settleApproval } from './govern/approve.ts';
import { compact } from './memory/compact.ts';
import { perceive } from './memory/perceive.ts';
import { callModel } from './model/call-model.ts';
import { recordEnd, recordProgress } from './observe/record-progress.ts';
import { reflect } from './observe/reflect.ts';
import { admit } from './release/admit.ts';
import { executeTool } from './tool/execute-tool.ts';
import { timed } from './timed.ts';
import { settleDeferred } from './tool/settle-deferred.ts';

/** Activities that run beside the workflow, on the run's own queue. */
export function createRunActivities(dependencies: ActivityDependencies) {
  return {
    admit: (input: AdmitInput) => admit(dependencies, input),
    perceive: (input: PerceiveInput) => timed(() => perceive(dependencies, input)),
    requestApproval: (input: RequestApprovalInput) => requestApproval(dependencies, input),
    settleApproval: (input: SettleApprovalInput) => settleApproval(dependencies, input),
    settleDeferred: (input: SettleDeferredInput) => settleDeferred(dependencies, input),
    reflect: (input: ReflectInput) => timed(() => reflect(dependencies, input)),
    recordProgress: (input: RecordProgressInput) => recordProgress(dependencies, input),
    recordEnd: (input: RecordEndInput) => recordEnd(dependencies, input),
  };
}

/** Activities of the model queue. */
export function createModelActivities(dependencies: ActivityDependencies) {
  return {
    callModel: (input: CallModelInput) => timed(() => callModel(dependencies, input)),
    compact: (input: CompactInput) => timed(() => compact(dependencies, input)),
  };
}

/** The activity behind every tool: its type is the tool's name and major version. */
export function createToolActivity(dependencies: ActivityDependencies) {
  return {
    default: (input: ExecuteToolInput): Promise<ToolResult & Worked> => timed(() => executeTool(dependencies, input)),
  };
}

export type RunActivities = ReturnType<typeof createRunActivities>;
export type ModelActivities = ReturnType<typeof createModelActivities>;
