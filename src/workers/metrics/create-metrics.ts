import { collectDefaultMetrics, Counter, Gauge, Histogram, type Metric, Registry } from 'prom-client';
import { METRICS, type MetricName, type MetricSpec } from './catalogue.ts';

type NamesOf<Type extends MetricSpec['type']> = {
  [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never;
}[MetricName];

type LabelsOf<Name extends MetricName> = { readonly [Label in (typeof METRICS)[Name]['labels'][number]]: string };

/** The metrics of one process. */
export type Metrics = {
  readonly count: <Name extends NamesOf<'counter'>>(name: Name, labels: LabelsOf<Name>, by?: number) => void;
  readonly observe: <Name extends NamesOf<'histogram'>>(name: Name, labels: LabelsOf<Name>, seconds: number) => void;
  readonly set: <Name extends NamesOf<'gauge'>>(name: Name, labels: LabelsOf<Name>, value: number) => void;
  /** Forgets what a gauge was set to, so that nothing old is shown. */
  readonly forget: (name: NamesOf<'gauge'>) => void;
  /** Writes all metrics as Prometheus reads them. */
  readonly expose: () => Promise<string>;
};

/** Upper bounds in seconds: rows are read in milliseconds, reasoning models answer within ten minutes. */
const BUCKETS = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/** Makes the metrics of a process, with those of Node and of the process itself. `refresh` is called before each answer. */
export function createMetrics(refresh: (metrics: Metrics) => void = () => undefined): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const made = new Map(
    (Object.entries(METRICS) as [MetricName, MetricSpec][]).map(([name, spec]) => [name, make(name, spec, registry)]),
  );
  const metrics: Metrics = {
    count: (name, labels, by = 1) => (made.get(name) as Counter).inc(labels, by),
    observe: (name, labels, seconds) => (made.get(name) as Histogram).observe(labels, seconds),
    set: (name, labels, value) => (made.get(name) as Gauge).set(labels, value),
    forget: (name) => {
      const gauge = made.get(name) as Gauge;
      // Without labels a reset is a 0, and a 0 says that something was counted.
      if (METRICS[name].labels.length === 0) gauge.remove();
      else gauge.reset();
    },
    expose: async () => {
      refresh(metrics);
      return registry.metrics();
    },
  };
  for (const [name, { type }] of Object.entries(METRICS)) {
    if (type === 'gauge') metrics.forget(name as NamesOf<'gauge'>);
  }
  return metrics;
}

function make(name: MetricName, { type, help, labels }: MetricSpec, registry: Registry): Metric {
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  switch (type) {
    case 'counter':
      return new Counter(options);
    case 'gauge':
      return new Gauge(options);
    case 'histogram':
      return new Histogram({ ...options, buckets: BUCKETS });
  }
}
