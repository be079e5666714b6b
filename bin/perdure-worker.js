#!/usr/bin/env node
import { existsSync } from 'node:fs';

// A checkout runs its TypeScript as it is. The package has no sources: Node strips no types under node_modules.
const source = new URL('../src/workers/main.ts', import.meta.url);
await import(existsSync(source) ? source.href : new URL('../dist/workers/main.js', import.meta.url).href);
