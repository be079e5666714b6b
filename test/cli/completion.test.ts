// Goal: every command, option and choice of the program is completed, in each shell, where it belongs.
// Method: bash runs its script and is asked; the others' scripts are compared with the program, and read by the shell where there is one.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { processCli } from '../../src/cli/cli.ts';
import { flatten, readCommandTree } from '../../src/cli/completion/command-tree.ts';
import { createProgram } from '../../src/cli/program.ts';
import { testFolder } from '../support/servers.ts';
import { capturedCli } from './captured-cli.ts';

const perdure = capturedCli({});
const commands = flatten(readCommandTree(createProgram(processCli(), { exitCode: 0 })));

describe('perdure completion', function () {
  this.timeout(30_000);
  let script: string;

  before(async () => {
    script = (await perdure('completion', 'bash')).out;
  });

  for (const [typed, expected] of [
    [['ag'], ['agent']],
    [
      ['run', 'st'],
      ['start', 'steer', 'stop'],
    ],
    [['run', 'ls', '--ph'], ['--phase']],
    [
      ['run', 'ls', '--phase', ''],
      ['running', 'waiting', 'blocked', 'paused', 'ended'],
    ],
    [['run', 'ls', '--phase', 'running', '--ag'], ['--agent']],
    [['run', 'start', 'support', '--key', ''], []],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish', '--json', '--verbose', '--help'],
    ],
    [['--ver'], ['--version']],
    [['nonsense', 'ag'], ['agent']],
  ] as const) {
    it(`completes in bash: perdure ${typed.join(' ')}`, async () => {
      const words = ['perdure', ...typed].map((word) => `'${word}'`).join(' ');
      const asked = `${script}\nCOMP_WORDS=(${words}); COMP_CWORD=${typed.length}; _perdure; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout } = await promisify(execFile)('bash', ['-uc', asked]);
      assert.deepEqual(
        stdout.split('\n').filter((line) => line !== ''),
        expected,
      );
    });
  }

  for (const shell of ['bash', 'zsh', 'fish'] as const) {
    it(`has every command and option for ${shell}`, async () => {
      const { out, exitCode } = await perdure('completion', shell);
      assert.equal(exitCode, 0);
      for (const { path, name, options, choices } of commands) {
        assert.ok(out.includes(path === '' ? name : path), path);
        for (const word of [...choices, ...options.flatMap((option) => [...option.names, ...option.choices])]) {
          assert.ok(out.includes(shell === 'fish' ? word.replace(/^-+/, '') : word), `${path} ${word}`);
        }
      }
    });

    it(`is a script that ${shell} can read, where it is installed`, async () => {
      if (!isInstalled(shell)) return;
      const file = join(await testFolder(), 'completion');
      writeFileSync(file, (await perdure('completion', shell)).out);
      execFileSync(shell, ['-n', file]);
    });
  }

  it('knows the shells, and gives the script as JSON', async () => {
    const ended = await perdure('completion', 'tcsh');
    assert.deepEqual([ended.exitCode, /Allowed choices are bash, zsh, fish/.test(ended.said)], [2, true]);
    const given = JSON.parse((await perdure('completion', 'fish', '--json')).out) as { script: string };
    assert.match(given.script, /complete -c perdure -n '__perdure_at \\'run ls\\'' -l phase -r -f -a 'running waiting/);
  });
});

function isInstalled(shell: string): boolean {
  try {
    execFileSync(shell, ['-c', 'true']);
    return true;
  } catch {
    return false;
  }
}
