// Goal: the Temporal CLI is found where the order says, provided once per machine, and its absence is explained.
// Method: scripts that only say a version, an archive from a local web server, and locks of real and dead processes.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { cacheDirectory } from '../../src/cli/dev-stack/cache-directory.ts';
import { findTemporalBinary } from '../../src/cli/dev-stack/find-temporal-binary.ts';
import { freePort } from '../../src/cli/dev-stack/free-port.ts';
import { isVersionSupported } from '../../src/cli/dev-stack/temporal-version.ts';
import { testFolder } from '../support/servers.ts';

describe('findTemporalBinary', () => {
  let folder = '';
  let tools = '';
  const lines: string[] = [];
  const report = (line: string): void => void lines.push(line);

  beforeEach(async () => {
    folder = await testFolder();
    lines.length = 0;
    tools = join(folder, 'tools');
    mkdirSync(tools);
    for (const tool of ['sh', 'echo']) {
      symlinkSync(execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), join(tools, tool));
    }
  });

  it('takes PERDURE_TEMPORAL_CLI first, and refuses it when it is unusable', async () => {
    const good = script(join(folder, 'good'), '1.9.0');
    const old = script(join(folder, 'old'), '1.3.0');
    const find = (path: string): Promise<string> =>
      findTemporalBinary({ cacheDir: folder, env: { PATH: tools, PERDURE_TEMPORAL_CLI: path }, report });
    assert.equal(await find(good), good);
    await assert.rejects(
      find(old),
      /PERDURE_TEMPORAL_CLI=.*old cannot be used: found 1\.3\.0, expected Temporal CLI 1\.4\.1 or later and below 2/,
    );
    await assert.rejects(find(join(folder, 'absent')), /absent cannot be used: .*ENOENT/);
  });

  it('passes over a `temporal` on the PATH that is too old and says so', async () => {
    script(join(tools, 'temporal'), '0.0.0-DEV');
    const cached = script(join(folder, 'temporal', '1.8.2', 'temporal'), '1.8.2');
    assert.equal(await findTemporalBinary({ cacheDir: folder, env: { PATH: tools }, report }), cached);
    assert.match(lines.join('\n'), /is 0\.0\.0-DEV; expected Temporal CLI 1\.4\.1 or later/);
  });

  it('takes a `temporal` on the PATH, in tests only the very version of the cache', async () => {
    const onPath = script(join(tools, 'temporal'), '1.7.2');
    const cached = script(join(folder, 'temporal', '1.8.2', 'temporal'), '1.8.2');
    const request = { cacheDir: folder, env: { PATH: tools }, report };
    assert.equal(await findTemporalBinary(request), onPath);
    assert.equal(await findTemporalBinary({ ...request, forTests: true }), cached);
  });

  it('downloads once when two ask at the same time, and the second one says that it waits', async () => {
    script(join(folder, 'made', 'temporal'), '1.8.2');
    const archive = join(folder, 'archive.tar.gz');
    execFileSync('tar', ['-czf', archive, '-C', join(folder, 'made'), 'temporal']);
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end(readFileSync(archive));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const downloads = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const request = { cacheDir: join(folder, 'cache'), env: { PATH: tools }, report, downloads };
    const found = await Promise.all([findTemporalBinary(request), findTemporalBinary(request)]);
    server.close();
    const cached = join(folder, 'cache', 'temporal', '1.8.2', 'temporal');
    assert.deepEqual(found, [cached, cached]);
    assert.equal(asked.length, 1);
    assert.match(asked[0] ?? '', /^\/cli\/archive\/v1\.8\.2\?platform=(?:linux|darwin)&arch=(?:amd64|arm64)$/);
    assert.match(lines.join('\n'), new RegExp(`waiting for process ${process.pid}`));
    assert.deepEqual(readdirSync(dirname(cached)), ['temporal']);
  });

  it('takes over the lock of a dead process and removes what it left', async () => {
    const cacheDir = join(folder, 'cache');
    const version = join(cacheDir, 'temporal', '1.8.2');
    mkdirSync(version, { recursive: true });
    const { pid } = spawnSync('true');
    writeFileSync(join(version, 'temporal.lock'), JSON.stringify({ pid, startedAt: '1' }));
    writeFileSync(join(version, `temporal.build-${pid}`), 'half');
    await assert.rejects(findTemporalBinary({ cacheDir, env: { PATH: tools }, report, downloads: await closedHost() }));
    assert.deepEqual(readdirSync(version), []);
  });

  it('names all ways when every one fails', async () => {
    const request = { cacheDir: folder, env: { PATH: tools }, report, downloads: await closedHost() };
    await assert.rejects(findTemporalBinary(request), (error: Error) => {
      for (const way of ['TEMPORAL_ADDRESS', 'PERDURE_TEMPORAL_CLI', 'ECONNREFUSED', 'there is no Go on the PATH']) {
        assert.ok(error.message.includes(way), `${way} in ${error.message}`);
      }
      return true;
    });
    assert.equal(existsSync(join(folder, 'temporal', '1.8.2', 'temporal')), false);
  });
});

describe('isVersionSupported', () => {
  for (const [version, supported] of [
    ['1.4.0', false],
    ['1.4.1', true],
    ['1.10.0', true],
    ['1.8.2-rc.1', true],
    ['2.0.0', false],
    ['0.0.0-DEV', false],
  ] as const) {
    it(`says ${supported} for ${version}`, () => assert.equal(isVersionSupported(version), supported));
  }
});

describe('cacheDirectory', () => {
  it('follows PERDURE_CACHE, then XDG_CACHE_HOME, then the home', () => {
    assert.equal(cacheDirectory({ PERDURE_CACHE: '/a', XDG_CACHE_HOME: '/b', HOME: '/c' }), '/a');
    assert.equal(cacheDirectory({ XDG_CACHE_HOME: '/b', HOME: '/c' }), join('/b', 'perdure'));
    assert.match(cacheDirectory({ HOME: '/c' }), /^\/c\/(?:\.cache|Library\/Caches)\/perdure$/);
  });
});

function script(path: string, version: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "temporal version ${version} (Server 1.31.2, UI 2.50.1)"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Names a host without archives, so that no test depends on the network. */
async function closedHost(): Promise<string> {
  return `http://127.0.0.1:${await freePort(0)}`;
}
