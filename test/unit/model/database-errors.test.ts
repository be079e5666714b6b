// Goal: an error of PostgreSQL ends a run only when the statement itself is wrong, and is told from every other error.
// Method: SQLSTATEs as failovers, poolers and migrations cause them, and errors that merely look like one.
import assert from 'node:assert/strict';
import { classify, type Failure, isDatabaseAway, toApplicationFailure } from '../../../src/activities/failures.ts';
import { ModelCallError } from '../../../src/activities/model/model-errors.ts';

function coded(code: string, fields: object = {}): Error {
  return Object.assign(new Error(`it said ${code}`), { code, ...fields });
}

const called = (cause: unknown): Error => new ModelCallError({ id: 'openai:any', keyName: null }, cause);
const fetchFailed = (code: string): Error => new TypeError('fetch failed', { cause: coded(code) });

/** SQLSTATEs by what they mean; a failover, a pooler or a migration that runs must end no run. */
const SQL_STATES: readonly (readonly [Failure['disposition'], readonly string[]])[] = [
  ['transient', ['08006', '25006', '25P02', '40001', '53100', '53300', '55000', '55P03', '57014', '57P01', '57P02']],
  ['transient', ['57P03', '58000', '58030', 'XX000', 'XX001', 'F0000']],
  ['mendable', ['0A000', '28P01', '3D000', '3F000', '42501', '42703', '42P01', '42883', '54000', '54011', 'P0001']],
  ['final', ['22001', '22021', '22P05', '23502', '23505', '23514']],
];

describe('errors of PostgreSQL', () => {
  for (const [disposition, codes] of SQL_STATES) {
    it(`are ${disposition}: ${codes.join(' ')}`, () => {
      for (const code of codes) {
        const error = coded(code, { severity: 'ERROR', constraint: 'some_check' });
        const failure = classify(error);
        assert.deepEqual([code, failure.cause, failure.disposition], [code, 'infra', disposition]);
        assert.equal(failure.mend !== undefined, disposition === 'mendable', code);
        assert.equal(isDatabaseAway(error), disposition !== 'final', code);
      }
    });
  }

  it('ask for the partition that is missing', () => {
    const failure = classify(coded('23514', { table: 'observations' }));
    assert.equal(failure.disposition, 'mendable');
    assert.match(failure.mend ?? '', /partitions/);
  });

  it('are told from everything else that fails', () => {
    for (const away of [coded('ECONNREFUSED'), coded('ECONNRESET'), new Error('Connection terminated')]) {
      assert.equal(isDatabaseAway(away), true, away.message);
    }
    const others = [
      new TypeError('x'),
      coded('E2BIG'),
      fetchFailed('ECONNREFUSED'),
      called(fetchFailed('ECONNREFUSED')),
      called(coded('57P01')),
      toApplicationFailure(classify(coded('57P01')), { retryable: true }),
      'ECONNREFUSED',
      null,
    ];
    for (const other of others) assert.equal(isDatabaseAway(other), false, String(other));
  });
});
