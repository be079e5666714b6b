import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { withProgress, type Report } from './report.ts';
import { temporalCliVersion } from './temporal-version.ts';

/** The host of the official archives. */
export const officialDownloads = 'https://temporal.download';

/** Milliseconds until the download host must have answered; a closed network shall not hold up the build. */
const connectMs = 10_000;

/** Milliseconds for the whole archive, about 60 MB. */
const downloadMs = 300_000;

/**
 * Downloads the Temporal CLI's official archive and puts its binary at `target`, complete or not at all.
 *
 * @throws with the reason when the host does not answer within ten seconds or the archive is not what it should be.
 */
export async function downloadTemporal(target: string, host: string, report: Report): Promise<void> {
  const archiveUrl = archiveAddress(host);
  report(`downloading Temporal CLI ${temporalCliVersion} from ${new URL(archiveUrl).host}`);
  const folder = await mkdtemp(`${target}.download-`);
  try {
    await withProgress(report, 'download', () => unpackFrom(archiveUrl, folder));
    await rename(join(folder, 'temporal'), target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Builds the address of the archive for this machine. */
function archiveAddress(host: string): string {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  return `${host}/cli/archive/v${temporalCliVersion}?platform=${process.platform}&arch=${arch}`;
}

async function unpackFrom(archiveUrl: string, folder: string): Promise<void> {
  const archive = join(folder, 'archive.tar.gz');
  const connecting = new AbortController();
  const timer = setTimeout(() => connecting.abort(new Error('no answer in 10 s')), connectMs);
  const response = await fetch(archiveUrl, {
    signal: AbortSignal.any([connecting.signal, AbortSignal.timeout(downloadMs)]),
  })
    .catch((error: unknown) => Promise.reject(new Error(reasonOf(error))))
    .finally(() => clearTimeout(timer));
  if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(archive));
  await promisify(execFile)('tar', ['-xzf', archive, '-C', folder, 'temporal']);
}

/** `fetch` wraps the reason that helps, such as a host name that does not resolve. */
function reasonOf(error: unknown): string {
  const cause = (error as { cause?: unknown }).cause;
  return cause instanceof Error ? cause.message : (error as Error).message;
}
