import { createProcessBreakers } from '../../../src/activities/model/routing/process-breakers.ts';
import { openDatabase } from '../../../src/stores/database.ts';
import { createBreakers } from '../../../src/stores/breakers.ts';

/** A worker's part in a breaker: it takes the call that tries a model, says so, and is at work until it is killed. */
const [url = '', model = ''] = process.argv.slice(2);
const store = createBreakers(openDatabase(url, () => undefined));
const admission = await createProcessBreakers(store, () => undefined, 3_000).admit({ model, server: '' });
console.log(admission.kind === 'admitted' && admission.permit.isProbe ? 'probing' : 'not probing');
setInterval(() => undefined, 60_000);
