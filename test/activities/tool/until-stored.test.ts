// Goal: what must not be lost is written again while the database is away, and only then.
// Method: writes that fail as PostgreSQL and its socket do, inside an activity that is cancelled meanwhile.
import assert from 'node:assert/strict';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { untilStored } from '../../../src/activities/until-stored.ts';

const AWAY = [
  Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' }),
  Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED', syscall: 'connect' }),
];

/** Fails with each error once, then stores. */
function failing(errors: readonly Error[]): () => Promise<number> {
  let tries = 0;
  return async () => {
    const error = errors[tries];
    tries += 1;
    if (error !== undefined) throw error;
    return tries;
  };
}

describe('untilStored', () => {
  it('goes on when its activity is cancelled', async () => {
    const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    const stored = environment.run(async () => {
      environment.cancel('CANCELLED');
      return untilStored(failing(AWAY));
    });
    assert.equal(await stored, 3);
  });

  it('does not write again what failed for another reason', async () => {
    const error = new TypeError('x is not a function');
    await assert.rejects(
      new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(() => untilStored(failing([error]))),
      error,
    );
  });
});
