import { resolve } from 'node:path';
import { buildPackage } from './package/build-package.ts';

/** Builds `dist` (`npm run build`, and before every `npm pack`). */
await buildPackage(resolve(import.meta.dirname, '../dist'));
