// Goal: a wrong command says what is wrong and what was probably meant, with the right exit code and no stack trace.
// Method: commands run in this process, in a folder where no server runs.
import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { processCli } from '../../src/cli/cli.ts';
import { createProgram } from '../../src/cli/program.ts';
import { capturedCli } from './captured-cli.ts';

const ID = '0aB1cD2eF3gH4iJ5kL6mN7';
const nowhere = join(tmpdir(), 'perdure-no-such-folder');
const env = { PERDURE_AGENTS_DIR: join(process.cwd(), 'agents'), TEMPORAL_CONFIG_FILE: join(nowhere, 'temporal.toml') };
const perdure = capturedCli(env, { cwd: nowhere });

describe('command line: usage', () => {
  for (const [parameters, exitCode, said] of [
    [['rnu'], 2, /unknown command 'rnu'\n\(Did you mean run\?\)/],
    [['run', 'strat'], 2, /Did you mean start\?/],
    [['run', 'ls', '--phse', 'running'], 2, /unknown option '--phse'\n\(Did you mean --phase\?\)/],
    [['run', 'ls', '--phase', 'runing'], 2, /Allowed choices are running, waiting/],
    [['run', 'ls', '--limit', '0'], 2, /whole number from 1 to 1000/],
    [['run', 'show'], 2, /missing required argument 'id'/],
    [['run'], 2, /Commands:/],
    [['run', 'start', 'support'], 2, /give the input as an argument or with --input-file/],
    [['run', 'start', 'support', 'x', '--limit-usd', 'much'], 2, /an amount above 0 in USD/],
    [['run', 'start', 'support', '--input-file', 'none.txt'], 2, /--input-file cannot be read/],
    [
      ['run', 'start', 'suport', 'x'],
      4,
      /there is no agent "suport". Did you mean support\? The agents are: .*support/,
    ],
    [['dev', '--agent', 'suport'], 4, /Did you mean support\?/],
    [
      ['run', 'ls'],
      1,
      /no Temporal is running for this folder. Run npm start in another terminal, or set TEMPORAL_ADDRESS/,
    ],
    [['run', 'top-up', ID], 1, /npm start/],
    [['approve', 'decide', ID], 2, /say one of --approve, --reject/],
    [['approve', 'decide', ID, '--approve', '--reject', 'x'], 2, /say one of/],
    [['approve', 'decide', ID, '--edit', '{'], 2, /--edit must be JSON/],
    [['effect', 'resolve', ID], 2, /required option '--as <outcome>'/],
    [['effect', 'resolve', ID, '--as', 'maybe', '--reason', 'x'], 2, /Allowed choices are succeeded, failed/],
    [['effect', 'resolve', ID, '--as', 'failed', '--reason', ' '], 2, /--reason must not be empty/],
    [['replay', 'no-such-file'], 4, /neither a file or folder, nor the id of a run, nor a query/],
  ] as const) {
    it(`ends \`perdure ${parameters.join(' ')}\` with ${exitCode}`, async () => {
      const ended = await perdure(...parameters);
      assert.match(ended.said, said);
      assert.equal(ended.exitCode, exitCode);
      assert.equal(ended.out, '');
      assert.doesNotMatch(ended.said, /\n\s+at /);
    });
  }

  for (const [variables, said] of [
    [{ TEMPORAL_ADDRESS: 'junk' }, /^error: TEMPORAL_ADDRESS .* must be host:port, .* got "junk"$/],
    [{ TEMPORAL_ADDRESS: 'http://localhost:7233' }, /^error: TEMPORAL_ADDRESS .* got "http:\/\/localhost:7233"$/],
    [{ TEMPORAL_ADDRESS: 'localhost:0' }, /^error: TEMPORAL_ADDRESS .* got "localhost:0"$/],
    [{ DATABASE_URL: 'junk' }, /^error: DATABASE_URL must be postgres:\/\/user:password@host.* got "junk"$/],
    [{ DATABASE_URL: 'mysql://root:secret@db/x' }, /^error: DATABASE_URL must be .* got "mysql:\/\/…@db\/x"$/],
    [
      { DATABASE_URL: 'postgres://me:secret@db:99999/x' },
      /^error: DATABASE_URL must be .* got "postgres:\/\/…@db:99999\/x"$/,
    ],
  ] as const) {
    it(`says what is wrong with ${JSON.stringify(variables)}`, async () => {
      const reachable = { TEMPORAL_ADDRESS: 'localhost:7233', DATABASE_URL: 'postgres://localhost:5433/perdure' };
      const ended = await capturedCli({ ...env, ...reachable, ...variables }, { cwd: nowhere })('run', 'ls');
      assert.match(ended.said, said);
      assert.deepEqual([ended.exitCode, ended.out], [2, '']);
    });
  }

  it('spells every command as the person started this one', async () => {
    const npm = capturedCli({ ...env, npm_lifecycle_event: 'perdure', npm_command: 'run-script' }, { cwd: nowhere });
    const { out } = await npm('run', 'show', '--help');
    assert.match(out, /^Usage: npm run perdure -- run show \[options\] <id>/);
    assert.match(out, /Examples:\n {2}\$ npm run perdure -- run show 0aB1/);
    assert.match((await npm('--help')).out, /^Usage: npm run perdure -- \[options\]/);
    assert.match((await npm('run')).said, /^Usage: npm run perdure -- run \[options\]/);
    const wrong = await npm('agent', 'show', 'nobody');
    assert.doesNotMatch(`${wrong.said}${out}`, /(?<!run )perdure (?:run|agent)/);
  });

  it('shows the whole error only when asked to', async () => {
    assert.match((await perdure('run', 'ls', '--verbose')).said, /\n\s+at /);
    assert.match((await capturedCli({ ...env, PERDURE_DEBUG: '1' }, { cwd: nowhere })('run', 'ls')).said, /\n\s+at /);
  });

  it('prints the version and the help as data', async () => {
    assert.match((await perdure('--version')).out, /^\d+\.\d+\.\d+$/);
    const help = await perdure('run', 'show', '--help');
    assert.deepEqual([help.exitCode, help.said], [0, '']);
  });

  for (const command of leavesOf(createProgram(processCli(), { exitCode: 0 }))) {
    it(`has an example and --json: ${command.path}`, async () => {
      const { out } = await perdure(...command.path.split(' '), '--help');
      assert.match(out, /Examples:\n {2}\$ /);
      if (command.isLeaf) assert.match(out, /--json/);
    });
  }
});

/** Lists every command with its words. */
function leavesOf(parent: Command, before = ''): { path: string; isLeaf: boolean }[] {
  return parent.commands
    .filter((command) => command.name() !== 'help')
    .flatMap((command) => {
      const path = `${before}${command.name()}`;
      return [{ path, isLeaf: command.commands.length === 0 }, ...leavesOf(command, `${path} `)];
    });
}
