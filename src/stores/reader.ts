/** What a program needs to read runs from PostgreSQL, as the `reader` of its client: `perdure/reader`. */
export { openRunReader } from './run-reader.ts';
