// Goal: a call that waits to be tried again when its connection closes ends quietly, instead of ending the process.
// Method: real calls to a port where nobody listens, given up while the SDK waits between two tries.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectLazily } from '../../../src/runtime/connection.ts';

describe('a connection that closes', () => {
  it('ends calls that wait to be tried again', async () => {
    const uncaught: Error[] = [];
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
    try {
      const connection = connectLazily({ address: '127.0.0.1:1', connectTimeout: 50 });
      const call = connection.workflowService.getSystemInfo({}).then(
        () => 'answered',
        (error: Error) => error.message,
      );
      await Promise.race([call, sleep(30)]);
      await connection.close();
      // The SDK waits 0.1 s and more between two tries.
      assert.match(await Promise.race([call, sleep(10_000, 'nothing')]), /shut down|refused|closed|UNAVAILABLE/i);
      await sleep(50);
      assert.deepEqual(uncaught, []);
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });
});
