import { activityInfo, Context } from '@temporalio/activity';
import type { JsonValue } from '../../domain/json.ts';
import type { Spans } from '../../runtime/gen-ai.ts';
import { classifyTool } from '../failures.ts';
import type { ToolCall } from './tool-call.ts';
import { toolCallId } from './tool-call-id.ts';

/** Calls a tool inside a span, where calls are traced. */
export async function traceTool(
  spans: Spans | undefined,
  { tenant, facts, tool, input, request }: ToolCall,
  work: () => Promise<JsonValue>,
): Promise<JsonValue> {
  if (spans === undefined) return work();
  const { turn, index } = request;
  const { cancellationSignal } = Context.current();
  const asked = {
    run: facts.id,
    tenant,
    agent: facts.agent,
    release: facts.release,
    turn,
    attempt: activityInfo().attempt,
    tool: tool.contract.name,
    toolCallId: toolCallId(turn, index),
    input,
  };
  return spans.tool(asked, work, {
    trouble: (error) => {
      if (error instanceof Error && error.name === 'ToolRefusal') return 'refused';
      return cancellationSignal.aborted ? 'cancelled' : classifyTool(error).cause;
    },
  });
}
