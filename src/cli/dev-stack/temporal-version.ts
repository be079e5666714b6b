import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The CLI that the cache, the download and the build provide; it carries server 1.31.2. */
export const temporalCliVersion = '1.8.2';

/** Worker versioning needs this CLI or a later one. */
export const temporalCliMin = '1.4.1';

/** Milliseconds for `temporal --version`; it answers in under one second, on a cold disk in some. */
const versionTimeoutMs = 20_000;

/** What a candidate binary turned out to be. */
export type BinaryCheck =
  | { readonly kind: 'usable'; readonly version: string }
  | { readonly kind: 'wrong-version'; readonly version: string }
  | { readonly kind: 'unusable'; readonly reason: string };

/** Asks a binary for its version and judges whether it can serve as our development server. */
export async function checkTemporalBinary(path: string): Promise<BinaryCheck> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: versionTimeoutMs });
    const version = /^temporal version (\S+)/m.exec(stdout)?.[1];
    if (version === undefined) return { kind: 'unusable', reason: 'it does not say its version' };
    return isVersionSupported(version) ? { kind: 'usable', version } : { kind: 'wrong-version', version };
  } catch (error) {
    return { kind: 'unusable', reason: (error as Error).message.trim() };
  }
}

/** Tells whether a CLI version is at least the minimum and below 2. */
export function isVersionSupported(version: string): boolean {
  return isVersionAtLeast(version, temporalCliMin) && !isVersionAtLeast(version, '2.0.0');
}

/** Compares two versions by their three numbers; what follows them (`-DEV`, `-rc1`) does not count. */
export function isVersionAtLeast(version: string, minimum: string): boolean {
  const [left, right] = [numbersOf(version), numbersOf(minimum)];
  const place = left.findIndex((number, index) => number !== right[index]);
  return place === -1 || (left[place] ?? 0) > (right[place] ?? 0);
}

function numbersOf(version: string): readonly number[] {
  const found = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return [1, 2, 3].map((group) => Number(found?.[group] ?? 0));
}
