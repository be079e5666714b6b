import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buildTemporal, whyGoCannotBuild } from './build-temporal.ts';
import { downloadTemporal, officialDownloads } from './download-temporal.ts';
import { withMachineLock } from './machine-lock.ts';
import { executableOnPath } from './executable-on-path.ts';
import type { Report } from './report.ts';
import { checkTemporalBinary, temporalCliMin, temporalCliVersion } from './temporal-version.ts';

const expected = `Temporal CLI ${temporalCliMin} or later and below 2`;

/** Where to look for the Temporal CLI and whom to tell about it. */
export type TemporalBinaryRequest = {
  /** The cache that all checkouts share; see `cacheDirectory`. */
  readonly cacheDir: string;
  readonly env: NodeJS.ProcessEnv;
  readonly report: Report;
  /** Tests take a `temporal` from the PATH only when it is exactly the version that the cache holds. */
  readonly forTests?: boolean;
  /** Where archives come from when not from the official host. */
  readonly downloads?: string;
};

/**
 * Finds the Temporal CLI: `PERDURE_TEMPORAL_CLI`, the PATH, our cache, the official download, a build with Go.
 *
 * @returns the path of a binary that said a version we can use.
 * @throws when `PERDURE_TEMPORAL_CLI` is set and unusable, or with all ways in one message when every one failed.
 */
export async function findTemporalBinary(request: TemporalBinaryRequest): Promise<string> {
  const configured = request.env['PERDURE_TEMPORAL_CLI'];
  if (configured) return requireConfigured(configured);
  const onPath = await findOnPath(request);
  if (onPath !== null) return onPath;
  const cached = join(request.cacheDir, 'temporal', temporalCliVersion, 'temporal');
  if (await isUsable(cached)) return cached;
  await mkdir(dirname(cached), { recursive: true });
  return withMachineLock(
    { path: `${cached}.lock`, activity: 'providing the Temporal server', report: request.report },
    async () => {
      // The process that held the lock before us has probably done the work.
      if (!(await isUsable(cached))) await provide(cached, request);
      return cached;
    },
  );
}

async function requireConfigured(path: string): Promise<string> {
  const check = await checkTemporalBinary(path);
  if (check.kind === 'usable') return path;
  const found = check.kind === 'wrong-version' ? `found ${check.version}` : check.reason;
  throw new Error(`PERDURE_TEMPORAL_CLI=${path} cannot be used: ${found}, expected ${expected}`);
}

async function findOnPath({ env, report, forTests }: TemporalBinaryRequest): Promise<string | null> {
  const path = executableOnPath('temporal', env);
  if (path === null) return null;
  const check = await checkTemporalBinary(path);
  if (check.kind === 'usable') {
    return forTests === true && check.version !== temporalCliVersion ? null : path;
  }
  const found = check.kind === 'wrong-version' ? `is ${check.version}` : `does not run: ${check.reason}`;
  report(`${path} ${found}; expected ${expected}, so looking further`);
  return null;
}

async function isUsable(path: string): Promise<boolean> {
  return (await checkTemporalBinary(path)).kind === 'usable';
}

/** Downloads or builds the binary into the cache. */
async function provide(target: string, request: TemporalBinaryRequest): Promise<void> {
  const { env, report, downloads = officialDownloads } = request;
  await removeLeftovers(target);
  const downloadFailure = await failureOf(() => downloadTemporal(target, downloads, report));
  if (downloadFailure === null && (await isUsable(target))) return;
  const withoutDownload = downloadFailure ?? 'the downloaded binary does not run here';
  report(`download failed: ${withoutDownload}`);
  const withoutBuild = (await whyGoCannotBuild(env)) ?? (await failureOf(() => buildTemporal(target, env, report)));
  if (withoutBuild === null && (await isUsable(target))) return;
  throw new Error(noWayMessage(target, withoutDownload, withoutBuild ?? 'the binary does not run'));
}

async function failureOf(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Removes what a killed download or build left; the lock says that nobody works on it now. */
async function removeLeftovers(target: string): Promise<void> {
  const unfinished = /^temporal\.(?:download|build)-/;
  const names = (await readdir(dirname(target))).filter((name) => unfinished.test(name));
  for (const name of names) {
    await rm(join(dirname(target), name), { recursive: true, force: true });
  }
}

function noWayMessage(target: string, download: string, build: string): string {
  return [
    'There is no Temporal server to start. Any one of these gives it one:',
    `  - TEMPORAL_ADDRESS or a temporal.toml profile, for a server that already runs`,
    `  - PERDURE_TEMPORAL_CLI, or a \`temporal\` on the PATH: ${expected}`,
    `  - the binary of Temporal CLI ${temporalCliVersion} at ${target}`,
    `  - the download from temporal.download (failed: ${download})`,
    `  - Go on the PATH, for a build of about 5 minutes (failed: ${build})`,
  ].join('\n');
}
