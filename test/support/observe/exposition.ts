/** One number with its labels. */
export type Sample = {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

/** What is exposed under one name; a histogram's samples have endings. */
export type Family = {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
};

export type Exposition = {
  readonly families: ReadonlyMap<string, Family>;
  /** Adds up the samples of a family whose labels include these. */
  readonly sum: (name: string, labels?: Readonly<Record<string, string>>) => number;
};

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const HELP = new RegExp(`^# HELP (${NAME}) (.*)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)(?: -?\\d+)?$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

/**
 * Reads the text format 0.0.4 of Prometheus by its grammar, and refuses what Prometheus would refuse or misread: a line that is none, a
 * sample outside of its family, a family or a sample that comes twice, a type that is missing, a value that is no number, a histogram that
 * does not add up.
 */
export function parseExposition(text: string): Exposition {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, { name: string; type: string; help: string; samples: Sample[] }>();
  const helps = new Map<string, string>();
  const seen = new Set<string>();
  let current: string | null = null;
  for (const line of text.split('\n')) {
    const help = HELP.exec(line);
    const type = TYPE.exec(line);
    if (line === '') continue;
    if (help !== null) {
      const [, name = '', words = ''] = help;
      if (helps.has(name)) throw new Error(`${name} has two HELP lines`);
      helps.set(name, words);
    } else if (type !== null) {
      const [, name = '', kind = ''] = type;
      if (families.has(name)) throw new Error(`the family ${name} comes twice`);
      families.set(name, { name, type: kind, help: helps.get(name) ?? '', samples: [] });
      current = name;
    } else if (!line.startsWith('#')) {
      const sample = parseSample(line);
      const family = families.get(current ?? '');
      if (family === undefined || !belongs(sample.name, family)) throw new Error(`outside of its family: ${line}`);
      const key = `${sample.name} ${keyOf(sample.labels)}`;
      if (seen.has(key)) throw new Error(`comes twice: ${line}`);
      seen.add(key);
      family.samples.push(sample);
    } else {
      throw new Error(`neither HELP, TYPE nor a sample: ${line}`);
    }
  }
  for (const family of families.values()) {
    if (family.help === '') throw new Error(`${family.name} has no HELP`);
    if (family.type === 'histogram') checkHistogram(family);
  }
  return { families, sum: (name, labels = {}) => sumOf(families.get(name), labels) };
}

function parseSample(line: string): Sample {
  const [, name = '', inner = '', number = ''] = SAMPLE.exec(line) ?? [];
  if (name === '') throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  let at = 0;
  while (at < inner.length) {
    LABEL.lastIndex = at;
    const [whole = '', label = '', value = ''] = LABEL.exec(inner) ?? [];
    if (whole === '' || label in labels) throw new Error(`labels that cannot be read: ${line}`);
    labels[label] = value;
    at += whole.length;
  }
  const value = { '+Inf': Infinity, '-Inf': -Infinity }[number] ?? Number(number);
  // Prometheus reads numbers as Go does, which knows NaN in any case.
  if (Number.isNaN(value) && !/^nan$/i.test(number)) throw new Error(`no number: ${line}`);
  return { name, labels, value };
}

function belongs(name: string, { name: family, type }: Family): boolean {
  if (type === 'histogram') return [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name);
  if (type === 'summary') return [family, `${family}_sum`, `${family}_count`].includes(name);
  return name === family;
}

/** Buckets only grow, end with +Inf, and hold as many as were counted. */
function checkHistogram({ name, samples }: Family): void {
  const series = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _le, ...labels } = sample.labels;
    const key = keyOf(labels);
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  for (const [key, all] of series) {
    const buckets = all
      .filter((sample) => sample.name.endsWith('_bucket'))
      .map(({ labels, value }) => ({ le: labels['le'] === '+Inf' ? Infinity : Number(labels['le']), value }))
      .toSorted((a, b) => a.le - b.le);
    const count = all.find((sample) => sample.name.endsWith('_count'))?.value;
    const grows = buckets.every(({ value }, index) => value >= (buckets[index - 1]?.value ?? 0));
    const last = buckets.at(-1);
    if (!grows || last?.le !== Infinity || last.value !== count) throw new Error(`${name} ${key} does not add up`);
  }
}

function sumOf(family: Family | undefined, labels: Readonly<Record<string, string>>): number {
  return (family?.samples ?? [])
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
