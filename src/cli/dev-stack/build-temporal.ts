import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { withProgress, type Report } from './report.ts';
import { temporalConfigPath } from './temporal-config.ts';
import { isVersionAtLeast, temporalCliVersion } from './temporal-version.ts';

const run = promisify(execFile);

/** The Go release that the CLI's module asks for. */
const goMin = '1.26.4';

/** From this release on Go fetches the toolchain that a module asks for. */
const goWithToolchains = '1.21.0';

/** Milliseconds for the build: 4 to 5 minutes on 2 cores with nothing cached, with room for slower machines. */
const buildMs = 30 * 60_000;

/** Says why this machine cannot build the CLI, or null when it can. */
export async function whyGoCannotBuild(env: NodeJS.ProcessEnv): Promise<string | null> {
  if (!existsSync(temporalConfigPath('dev-server/go.mod'))) return 'temporal-config/dev-server is missing';
  try {
    const { stdout } = await run('go', ['env', 'GOVERSION', 'GOTOOLCHAIN'], { env });
    const [version = '', toolchain = ''] = stdout.trim().split('\n');
    if (isVersionAtLeast(version, goMin)) return null;
    const mayFetch = isVersionAtLeast(version, goWithToolchains) && toolchain !== 'local';
    return mayFetch ? null : `found ${version}, needs Go ${goMin} or later`;
  } catch {
    return 'there is no Go on the PATH';
  }
}

/**
 * Builds the Temporal CLI with its server and Web UI from the Go module proxy, by `temporal-config/dev-server/go.sum`,
 * and puts it at `target`, complete or not at all.
 *
 * @throws with the compiler's last lines when the build fails.
 */
export async function buildTemporal(target: string, env: NodeJS.ProcessEnv, report: Report): Promise<void> {
  report(`building Temporal CLI ${temporalCliVersion} with Go, once per machine: about 5 minutes on 2 cores`);
  const unfinished = `${target}.build-${process.pid}`;
  const versionFlag = `-X github.com/temporalio/cli/internal/temporalcli.Version=${temporalCliVersion}`;
  const parameters = ['build', '-mod=readonly', '-trimpath', '-ldflags', `-s -w ${versionFlag}`];
  try {
    await withProgress(report, 'build', () =>
      run('go', [...parameters, '-o', unfinished, 'github.com/temporalio/cli/cmd/temporal'], {
        cwd: temporalConfigPath('dev-server'),
        env: { ...env, CGO_ENABLED: '0' },
        timeout: buildMs,
        maxBuffer: 64 * 1024 * 1024,
      }),
    );
    await rename(unfinished, target);
  } catch (error) {
    const output = (error as { stderr?: string }).stderr ?? '';
    const reason = output.trim().split('\n').slice(-5).join('\n') || (error as Error).message;
    throw new Error(reason, { cause: error });
  } finally {
    await rm(unfinished, { force: true });
  }
}
