// Run npm start in another terminal, then in this folder: npx node examples/start-and-follow.ts
import { findDatabase } from '../src/cli/find-servers.ts';
import { connect } from '../src/client/index.ts';
import { openRunReader } from '../src/stores/run-reader.ts';

const reader = openRunReader(findDatabase({ cwd: process.cwd(), env: process.env }));
const client = await connect({ reader });
const run = await client.start({ agent: 'support', input: 'Where is my order A-1090? I am Liam Murphy.' });
for await (const progress of run.follow()) console.log(progress.kind, 'entry' in progress ? progress.entry.name : '');
console.log(await run.answer());
await Promise.all([client.close(), reader.close()]);
