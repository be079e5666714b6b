import { migrate } from '../../../src/stores/migrate.ts';
import { openBare } from './support.ts';

/** Migrates the database whose address is the argument, as any process of ours does when it starts. */
const db = openBare(process.argv[2] ?? '');
await migrate(db);
await db.destroy();
process.exit(0);
