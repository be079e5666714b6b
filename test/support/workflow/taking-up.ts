import { WorkflowNotFoundError } from '@temporalio/client';
import type { Agent } from '../../../src/authoring/index.ts';
import type { AgentSpec } from '../../../src/authoring/define-agent.ts';
import type { RunStart } from '../../../src/domain/run/start.ts';
import { capturedCli, type Ended } from '../../cli/captured-cli.ts';
import { lookUp, payBlind, payKeyed } from '../crash/agents/crash/tools.ts';
import { type Destination, startDestination } from '../crash/destination.ts';
import { answerByPlan } from '../crash/model-answer.ts';
import type { Plan } from '../crash/plan.ts';
import { type ProviderRequest, type ProviderServer, refusals, startProviderServer } from '../provider-server.ts';
import { startTestServers } from '../servers.ts';
import { type Platform, type RunHandle, startPlatform } from './platform.ts';
import { testAgent } from './test-agent.ts';
import { until } from './until.ts';

/** A platform whose model and whose tools are servers that count, and a command line on it. */
export type TakingUp = {
  readonly platform: Platform;
  readonly provider: ProviderServer;
  readonly destination: Destination;
  readonly perdure: (...parameters: readonly string[]) => Promise<Ended>;
  /** Lets the provider refuse the turn of a plan for good, until `mend`. */
  readonly failTurn: (turn: number) => void;
  readonly mend: () => void;
  readonly startPlan: (plan: Plan, options?: Partial<RunStart>) => Promise<RunHandle>;
  /** Replaces the workers by ones with a changed agent. `failpoints` as in `PERDURE_FAILPOINTS`. */
  readonly deploy: (spec: Partial<AgentSpec>, failpoints?: string) => Promise<void>;
  /** Takes a run up by the command line, and gives the handle of the successor. */
  readonly retry: (id: string, ...more: readonly string[]) => Promise<RunHandle>;
  /** Deletes the execution of a run, as Temporal does after its retention. */
  readonly forget: (id: string) => Promise<void>;
  readonly close: () => Promise<void>;
};

const TOOLS = [payKeyed, payBlind, lookUp];

/** Asks for a person above this amount. */
export const LARGE = 1_000_001;

/** Opens everything for one test file. */
export async function openTakingUp(): Promise<TakingUp> {
  const [servers, provider, destination] = await Promise.all([
    startTestServers(),
    startProviderServer(),
    startDestination(),
  ]);
  const env: Record<string, string> = {
    DESTINATION_URL: destination.url,
    PERDURE_MODEL_BASE_URL: provider.baseUrl,
    PERDURE_MODEL_API_KEY: 'a-key',
    PERDURE_MODEL_CEILING_USD_PER_MTOK: '1',
  };
  const platform = await startPlatform({ agents: [player()], env });
  const { temporal, postgres } = servers;
  const perdure = capturedCli({
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    DATABASE_URL: postgres.url,
    PERDURE_QUEUE_PREFIX: platform.queuePrefix,
  });
  const play = answerByPlan();
  const mend = (): void => provider.always(play);
  mend();
  const handleOf = (id: string): RunHandle => platform.client.workflow.getHandle(id) as RunHandle;
  return {
    platform,
    provider,
    destination,
    perdure,
    failTurn: (turn) => {
      provider.always((request) => (turnOf(request) === turn ? refusals.badRequest : play(request)));
    },
    mend,
    startPlan: (plan, options = {}) => platform.start('player', JSON.stringify(plan), options),
    deploy: async (spec, failpoints = '') => {
      await platform.stopWorkers();
      env['PERDURE_FAILPOINTS'] = failpoints;
      await platform.startWorkers({ agents: [player(spec)] });
    },
    retry: async (id, ...more) => {
      const { exitCode, out, said } = await perdure('run', 'retry', id, '--json', ...more);
      if (exitCode !== 0) throw new Error(said);
      return handleOf((JSON.parse(out) as { readonly id: string }).id);
    },
    forget: async (id) => {
      const { namespace } = temporal;
      await platform.client.workflowService.deleteWorkflowExecution({
        namespace,
        workflowExecution: { workflowId: id },
      });
      const isForgotten = async (): Promise<boolean> => {
        try {
          await handleOf(id).describe();
          return false;
        } catch (error) {
          if (error instanceof WorkflowNotFoundError) return true;
          throw error;
        }
      };
      // The server deletes when it comes to it.
      await until(`Temporal forgets ${id}`, isForgotten, { timeoutMs: 90_000, everyMs: 250 });
    },
    close: async () => {
      await platform.close();
      await Promise.all([provider.close(), destination.close()]);
    },
  };
}

/** The turn of a plan that a request asks for: every turn before has one assistant message. */
export function turnOf({ messages }: ProviderRequest): number {
  return messages.filter(({ role }) => role === 'assistant').length + 1;
}

function player(spec: Partial<AgentSpec> = {}): Agent {
  return testAgent('player', {
    models: { standard: { id: 'openai-compatible:m1', outputTokensMax: 1_000, contextTokensMax: 100_000 } },
    tools: TOOLS,
    approvals: ['payKeyed', 'payBlind'].map((tool) => ({
      name: `large-${tool}`,
      tool,
      when: { path: 'amount', above: LARGE - 1 },
    })),
    ...spec,
  });
}
