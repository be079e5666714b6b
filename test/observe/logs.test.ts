/**
 * Goal: every line about a run can be found by its fields, and no line has what was said.
 * Method: a worker process that logs everything does runs that fail in several ways; what it wrote is read line by line.
 */
import assert from 'node:assert/strict';
import { sql } from 'kysely';
import { traceIdsOf } from '../../src/domain/run/trace-ids.ts';
import { LOG_FIELDS } from '../../src/runtime/log-fields.ts';
import { until } from '../support/workflow/until.ts';
import { codeWords, parseMarkdown, tableRows } from '../tidy/markdown.ts';
import { readText } from '../tidy/repository.ts';
import { approve, openTracedLab, PLANTED, type TracedLab } from './traced-run.ts';

type Line = { readonly level: number; readonly time: number; readonly msg: string; readonly [field: string]: unknown };

/** What pino itself puts on a line. */
const OF_PINO = ['level', 'time', 'pid', 'msg'];

const WARN = 40;

describe('logs', function () {
  this.timeout(180_000);
  let lab: TracedLab;
  let output: string;
  let lines: readonly Line[];
  let run: string;

  before(async () => {
    lab = await openTracedLab();
    // The first attempt after a failpoint is our own trouble, the refused key is for a person, the broken reply for nobody.
    // Two calls in two seconds: some of its six wait for a rate limit.
    const limits = JSON.stringify({ 'openai-compatible:paid': { requestsPerMinute: 60, windowSeconds: 2 } });
    const worker = await lab.worker({ PERDURE_FAILPOINTS: 'run:perceived=error', PERDURE_MODEL_LIMITS: limits });
    lab.provider.next(
      { kind: 'status', status: 401, body: { error: { message: `bad key of ${PLANTED.provider}` } } },
      { kind: 'status', status: 500, body: { error: { message: `no ${PLANTED.provider}` } } },
    );
    const started = await lab.start();
    run = started.id;
    await approve(started);
    assert.equal((await started.result()).outcome.kind, 'completed');
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle' and pid <> pg_backend_pid()`.execute(
      lab.db,
    );
    await until('the broken connection', async () => worker.output().includes('a database connection broke'));
    await worker.terminate();
    output = worker.output();
    lines = output
      .split('\n')
      .filter((text) => text.startsWith('{'))
      .map((text) => JSON.parse(text) as Line);
  });
  after(async () => lab.close());

  const named = (msg: string): readonly Line[] => lines.filter((line) => line.msg === msg);

  it('say whose every attempt is', () => {
    const attempts = lines.filter(({ activity }) => activity !== undefined);
    assert.ok(attempts.length > 20, `${attempts.length} lines`);
    for (const line of attempts) {
      const text = JSON.stringify(line);
      assert.equal(line['run'], run, text);
      assert.equal(line['tenant'], lab.tenant, text);
      assert.equal(line['agent'], 'traced', text);
      assert.equal(line['trace_id'], traceIdsOf(run).traceId, text);
      assert.match(String(line['span_id']), /^[0-9a-f]{16}$/, text);
      assert.equal(typeof line['attempt'], 'number', text);
      // Which release a run gets is decided by its admission.
      if (line['activity'] !== 'admit') assert.match(String(line['release']), /^.{22}$/, text);
      if (!['admit', 'reflect'].includes(String(line['activity']))) assert.equal(typeof line['turn'], 'number', text);
    }
  });

  it('tell of every attempt once that it began and once how it went', async () => {
    const { attempts } = await lab.attemptsOf(lab.handleOf(run));
    const over = ['attempt ended', 'attempt failed', 'attempt was called off'].flatMap((msg) => named(msg));
    assert.deepEqual(named('attempt began').map(nameOf).toSorted(), attempts);
    assert.deepEqual(over.map(nameOf).toSorted(), attempts);
  });

  it('say why an attempt failed, what can be done and whether it is tried again', () => {
    const failed = named('attempt failed').map(({ level, activity, cause, disposition, retries }) => {
      return [level, activity, cause, disposition, retries].join(' ');
    });
    assert.deepEqual(failed.toSorted(), [
      `${WARN} callModel model-authentication mendable false`,
      `${WARN} callModel model-error transient true`,
      `${WARN} look@1 tool-error transient true`,
      `${WARN} look@1 tool-error transient true`,
      `${WARN} perceive infra transient true`,
    ]);
    const [ours, ...others] = named('attempt failed').filter(({ problem }) => problem !== undefined);
    assert.match(String(ours?.['problem']), /^Unexpected Error at /);
    assert.deepEqual(others, [], 'words are told of our own trouble only');
  });

  it('tell when a run blocks, goes on and ends', () => {
    const [blocked] = named('run blocked');
    const [ended] = named('run ended');
    assert.equal(blocked?.['cause'], 'model-authentication');
    assert.equal(named('run unblocked').length, 1);
    assert.equal(ended?.['outcome'], 'completed');
    for (const line of [blocked, ended]) {
      assert.deepEqual(
        [line?.['run'], line?.['tenant'], line?.['agent'], line?.['trace_id']],
        [run, lab.tenant, 'traced', traceIdsOf(run).traceId],
      );
    }
  });

  it('have the time at which they were written', () => {
    const times = named('attempt began').map(({ time }) => time);
    assert.ok(new Set(times).size > times.length / 2, 'lines that are handed over together keep their times');
  });

  it('have nothing of what was said', () => {
    for (const words of Object.values(PLANTED)) assert.ok(!output.includes(words), words);
  });

  it('have the fields of the document and of the code, and no others', () => {
    const documented = tableRows(parseMarkdown(readText('docs/observability.md')).section('Fields')).flatMap(
      ([first = '']) => codeWords(first),
    );
    const written = new Set(lines.flatMap((line) => Object.keys(line)).filter((name) => !OF_PINO.includes(name)));
    assert.deepEqual(documented.toSorted(), [...LOG_FIELDS].toSorted());
    assert.deepEqual([...written].toSorted(), [...LOG_FIELDS].toSorted());
  });

  it('have the messages of the document', () => {
    const documented = tableRows(parseMarkdown(readText('docs/observability.md')).section('Messages')).flatMap(
      ([first = '']) => codeWords(first),
    );
    const missing = documented.filter((msg) => named(msg).length === 0);
    assert.deepEqual(missing, ['attempt was called off'], 'nothing was called off here');
  });
});

function nameOf({ activity, attempt }: Line): string {
  return `${String(activity)} ${String(attempt)}`;
}
