/** What there is to know of a metric before anything is measured. */
export type MetricSpec = {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
};

/**
 * Every metric of ours: base units, no ids and no tenants in labels. What a label can hold is bounded: agents, tools and models by what is
 * deployed, the others by lists in the code.
 */
export const METRICS = {
  perdure_activity_attempts_total: {
    type: 'counter',
    help: 'Attempts at activities that this process has finished. Tools are activities of their own name.',
    labels: ['activity', 'outcome', 'cause'],
  },
  perdure_activity_duration_seconds: {
    type: 'histogram',
    help: 'Time of an attempt at an activity.',
    labels: ['activity', 'outcome'],
  },
  perdure_model_calls_total: {
    type: 'counter',
    help: 'Attempts at model calls that were closed.',
    labels: ['agent', 'model', 'outcome', 'cause'],
  },
  perdure_model_call_duration_seconds: {
    type: 'histogram',
    help: 'Time of an attempt at a model call, from its reservation to its settlement.',
    labels: ['agent', 'model', 'outcome'],
  },
  perdure_model_throttled_seconds: {
    type: 'histogram',
    help: 'Time that a model call is told to wait for the rate limit of its provider, each time that it is told.',
    labels: ['agent', 'model', 'limit'],
  },
  perdure_model_tokens_total: {
    type: 'counter',
    help: 'Tokens of model calls. Cached input is part of the input, reasoning part of the output.',
    labels: ['agent', 'model', 'type'],
  },
  perdure_model_cost_usd_total: {
    type: 'counter',
    help: 'US dollars charged to runs for model calls, as they are settled.',
    labels: ['agent', 'model', 'simulated'],
  },
  perdure_model_cost_over_reserved_usd_total: {
    type: 'counter',
    help: 'US dollars of it that a call cost above what was reserved for it, which no call should.',
    labels: ['agent', 'model'],
  },
  perdure_model_prices_unknown_total: {
    type: 'counter',
    help: 'Calls to models whose price nobody knows. Without a ceiling they are refused.',
    labels: ['model', 'ceiling'],
  },
  perdure_model_prices_age_seconds: {
    type: 'gauge',
    help: 'Time since the data of the table of prices was fetched.',
    labels: [],
  },
  perdure_model_breaker_changes_total: {
    type: 'counter',
    help: 'Times that a call of this process opened or closed the breaker of a model.',
    labels: ['model', 'state'],
  },
  perdure_model_fallbacks_total: {
    type: 'counter',
    help: 'Model calls that another model was asked to make; the label model is the one that should have been asked.',
    labels: ['agent', 'model', 'why'],
  },
  perdure_budget_warnings_total: {
    type: 'counter',
    help: 'Budget accounts that have used up 80 % of a cap, once per account and period.',
    labels: ['kind'],
  },
  perdure_tool_calls_total: {
    type: 'counter',
    help: 'Attempts at tool calls that were closed.',
    labels: ['agent', 'tool', 'outcome', 'cause'],
  },
  perdure_tool_call_duration_seconds: {
    type: 'histogram',
    help: 'Time of an attempt at a tool call.',
    labels: ['agent', 'tool', 'outcome'],
  },
  perdure_runs_started_total: { type: 'counter', help: 'Runs that this process has admitted.', labels: ['agent'] },
  perdure_runs_ended_total: {
    type: 'counter',
    help: 'Runs whose end this process has written, or that it has refused.',
    labels: ['agent', 'outcome', 'cause'],
  },
  perdure_early_exits_total: {
    type: 'counter',
    help: 'Runs whose end this process has written and that ended before their model said that it was done.',
    labels: ['agent', 'reason'],
  },
  perdure_heartbeats_late_total: {
    type: 'counter',
    help: 'Beats of this process that came more than half a second late. Four in a row lose its activities.',
    labels: [],
  },
  perdure_database_connections: { type: 'gauge', help: 'Connections to PostgreSQL of this process.', labels: [] },
  perdure_database_connections_idle: { type: 'gauge', help: 'Connections that nobody uses.', labels: [] },
  perdure_database_waiting: { type: 'gauge', help: 'Requests that wait for a connection.', labels: [] },
  perdure_sdk_metrics_up: {
    type: 'gauge',
    help: 'Whether the metrics of the Temporal SDK are part of this answer.',
    labels: [],
  },
  perdure_build_info: { type: 'gauge', help: 'Always 1; the label says what runs.', labels: ['build_id'] },
  perdure_runs: { type: 'gauge', help: 'Runs that have not ended.', labels: ['agent', 'phase'] },
  perdure_runs_stuck: { type: 'gauge', help: 'Runs that make no progress although they should.', labels: ['reason'] },
  perdure_runs_unexamined: {
    type: 'gauge',
    help: 'Runs without a trace of work that were not looked at; above 0, perdure_runs_stuck is a lower bound.',
    labels: [],
  },
  perdure_approvals_pending: { type: 'gauge', help: 'Approvals that wait for a person.', labels: [] },
  perdure_approval_oldest_age_seconds: { type: 'gauge', help: 'Age of the oldest pending approval.', labels: [] },
  perdure_effects_unknown: { type: 'gauge', help: 'Effects of which nobody knows whether they happened.', labels: [] },
  perdure_attempts_orphaned: {
    type: 'gauge',
    help: 'Attempts begun in the last 15 minutes whose process died.',
    labels: ['kind'],
  },
  perdure_held_calls: {
    type: 'gauge',
    help: 'Model calls of which nobody knows what they cost. Their money counts on every budget.',
    labels: [],
  },
  perdure_held_usd: { type: 'gauge', help: 'What they can have cost at most, in USD.', labels: [] },
  perdure_held_oldest_age_seconds: { type: 'gauge', help: 'Age of the oldest of them.', labels: [] },
  perdure_model_breaker_open_seconds: {
    type: 'gauge',
    help: 'Time for which a model has been left alone because it fails. Absent for models that are called.',
    labels: ['model', 'server'],
  },
  perdure_watch_timestamp_seconds: {
    type: 'gauge',
    help: 'When this process last read rows and Temporal for its gauges, in seconds since the epoch.',
    labels: [],
  },
} as const satisfies Readonly<Record<`perdure_${string}`, MetricSpec>>;

export type MetricName = keyof typeof METRICS;
