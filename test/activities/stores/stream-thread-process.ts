// A process that starts a stream thread, says something, and has nothing else to do.
import { startStreamThread } from '../../../src/workers/start-stream-thread.ts';

const [databaseUrl = '', runId = ''] = process.argv.slice(2);
startStreamThread(databaseUrl, console.error).open('tenant', runId, 1).say({ kind: 'text', text: 'hello' });
