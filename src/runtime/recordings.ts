import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { ConfigurationError, type Environment } from './config.ts';

/** Where recordings are, as the environment says. */
export type RecordingSettings = {
  /** Folder to record into; null when nothing is recorded. */
  readonly recordInto: string | null;
  /** Folder of the recordings that `recorded:` models play; null when there is none. */
  readonly playFrom: string | null;
  /** What is masked besides what always is, by name. */
  readonly masks: Readonly<Record<string, RegExp>>;
};

/**
 * Reads what is recorded and played, and makes the folder to record into.
 *
 * @throws ConfigurationError for a folder that cannot be made, and for masks that are none.
 */
export function readRecordingSettings(env: Environment): RecordingSettings {
  const recordInto = env['PERDURE_RECORD_MODELS'] || null;
  if (recordInto !== null) makeFolder(recordInto);
  return { recordInto, playFrom: env['PERDURE_RECORDINGS_DIR'] || null, masks: readRecordingMasks(env) };
}

/**
 * Adds a line to the recording of a run and waits until it is on the disk. A line that a killed process tore is closed first, so that it
 * alone is lost.
 */
export function appendToRecording(
  { folder, masks }: { readonly folder: string; readonly masks: RecordingSettings['masks'] },
  run: string,
  line: object,
): void {
  const file = openSync(recordingFile(folder, run), 'a+', 0o600);
  try {
    const { size } = fstatSync(file);
    const last = Buffer.alloc(1);
    if (size > 0) readSync(file, last, 0, 1, size - 1);
    const isTorn = size > 0 && last.toString() !== '\n';
    // What was torn may have been the opening line itself.
    const before = size === 0 || isTorn ? `${isTorn ? '\n' : ''}${openingLine(run, masks)}` : '';
    writeWhole(file, Buffer.from(`${before}${JSON.stringify(line)}\n`));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Reads the text of a recording. Undefined where there is none of that name. */
export function readRecording(folder: string, name: string): string | undefined {
  if (!/^[\w.-]{1,128}$/.test(name)) return undefined;
  const file = recordingFile(folder, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/** The first line of a recording. */
function openingLine(run: string, masks: RecordingSettings['masks']): string {
  const sources = Object.fromEntries(Object.entries(masks).map(([name, { source }]) => [name, source]));
  return `${JSON.stringify({ kind: 'recording', version: 1, run, masks: sources })}\n`;
}

function recordingFile(folder: string, name: string): string {
  return join(folder, `${name}.jsonl`);
}

/** A full disk may take a part of it. */
function writeWhole(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ConfigurationError(
      `PERDURE_RECORD_MODELS must be a folder that can be made or is there, got ${JSON.stringify(folder)}: ${String(error)}`,
    );
  }
}

/**
 * Reads what is masked besides what always is.
 *
 * @throws ConfigurationError for masks that are none.
 */
export function readRecordingMasks(env: Environment): Readonly<Record<string, RegExp>> {
  const name = 'PERDURE_RECORD_MASKS';
  const text = env[name] || '{}';
  const refuse = (why: string): never => {
    throw new ConfigurationError(
      `${name} must be a JSON object of names and regular expressions, such as {"customer":"C-[0-9]{6}"}: ${why}`,
    );
  };
  let masks: unknown;
  try {
    masks = JSON.parse(text);
  } catch (error) {
    return refuse(String(error));
  }
  if (typeof masks !== 'object' || masks === null || Array.isArray(masks)) return refuse(`got ${text.slice(0, 80)}`);
  return Object.fromEntries(
    Object.entries(masks).map(([kind, source]: [string, unknown]) => {
      if (!/^[a-z]{1,20}$/.test(kind)) refuse(`${JSON.stringify(kind)} is not 1 to 20 lower-case letters`);
      try {
        return [kind, new RegExp(String(source), 'gu')];
      } catch (error) {
        return refuse(String(error));
      }
    }),
  );
}
