// Goal: what a person reads is right: suggestions, times, money, tables, and how errors end a command.
// Method: tables of values.
import assert from 'node:assert/strict';
import { InvalidInput, MessageRejected, RunNotFound } from '../../src/client/index.ts';
import { ModelUnavailable } from '../../src/activities/model/model-errors.ts';
import { CommandError, EXIT } from '../../src/cli/exit.ts';
import { explainError } from '../../src/cli/explain-error.ts';
import { formatCacheShare, formatOutcome, formatStanding } from '../../src/cli/format/run.ts';
import { cacheShareOf } from '../../src/domain/run/cache-share.ts';
import { formatTable } from '../../src/cli/format/table.ts';
import { formatCost, formatDuration, oneLine } from '../../src/cli/format/units.ts';
import { respell, spellCommand } from '../../src/cli/spell-command.ts';
import { editDistance, suggest } from '../../src/cli/suggest.ts';
import { readFiles } from '../tidy/repository.ts';

const grpc = (code: number): Error => Object.assign(new Error('from the server'), { code });

describe('command line: words', () => {
  const known = ['support', 'coding', 'qa'];
  for (const [typed, meant] of [
    ['suport', 'support'],
    ['Support', 'support'],
    ['usppotr', 'support'],
    ['cod', 'coding'],
    ['qb', 'qa'],
    ['xyz', null],
    ['', null],
  ] as const) {
    it(`takes ${JSON.stringify(typed)} for ${meant ?? 'nothing known'}`, () => {
      assert.equal(suggest(typed, known), meant);
    });
  }

  it('counts a swap of neighbours as one difference', () => {
    assert.deepEqual([editDistance('ab', 'ba'), editDistance('', 'abc'), editDistance('kitten', 'sitting')], [1, 3, 3]);
  });

  for (const [ms, text] of [
    [0, '0 ms'],
    [999, '999 ms'],
    [1_000, '1.0 s'],
    [59_949, '59.9 s'],
    [59_960, '1 min'],
    [3_600_000, '1 h'],
    [7_800_000, '2 h 10 min'],
    [86_400_000, '1 d'],
    [100_800_000, '1 d 4 h'],
  ] as const) {
    it(`writes ${ms} ms as ${text}`, () => {
      assert.equal(formatDuration(ms), text);
    });
  }

  it('marks money that was made up', () => {
    assert.deepEqual(
      [formatCost('250000000000', false), formatCost('1', true)],
      ['0.25 USD', '0.000000000001 USD (simulated)'],
    );
  });

  it('says what came from the cache, of all attempts that know it', () => {
    const attempt = { inputTokens: 1_000, cacheReadTokens: 900, cacheWriteTokens: 50 };
    const unknown = { inputTokens: null, cacheReadTokens: null, cacheWriteTokens: null };
    const fresh = { inputTokens: 1_001, cacheReadTokens: 0, cacheWriteTokens: 1_000 };
    assert.deepEqual(formatCacheShare(cacheShareOf([attempt, unknown, fresh])), [
      '  44.9 % of 2,001 input tokens from the cache, 1,050 written to it',
    ]);
    assert.deepEqual(formatCacheShare(cacheShareOf([unknown])), []);
  });

  it('says why a run ended early', () => {
    const end = { answer: null, release: null, turns: 1, toolCalls: 0, tokens: 0, costPico: '0' } as const;
    const standing = (exit?: { readonly reason: 'goal' }) =>
      formatStanding({
        phase: 'ended',
        end: { ...end, outcome: { kind: 'completed' }, ...(exit === undefined ? {} : { exit }) },
      });
    assert.deepEqual([standing(), standing({ reason: 'goal' })], ['completed', 'completed, early: goal']);
  });

  it('does not let a text steer the terminal', () => {
    assert.equal(oneLine('a\u001b[31m\n b\u009b'), 'a\uFFFD[31m b\uFFFD');
  });

  for (const [npm, spelled] of [
    [{ npm_lifecycle_event: 'perdure', npm_command: 'run-script' }, 'npm run perdure -- run ls'],
    [{ npm_lifecycle_event: 'start', npm_command: 'start' }, 'npm run perdure -- run ls'],
    [{ npm_lifecycle_event: 'npx', npm_command: 'exec' }, 'npx perdure run ls'],
    [{ npm_lifecycle_event: 'test', npm_command: 'test' }, 'perdure run ls'],
    [{}, 'perdure run ls'],
  ] as const) {
    it(`spells commands as ${spelled} for ${JSON.stringify(npm)}`, () => {
      assert.equal(spellCommand('run ls', npm), spelled);
    });
  }

  it('spells the commands in a text of a worker', () => {
    assert.equal(
      respell('Raise it: perdure run top-up r1 --usd AMOUNT. Perdure runs on.', { npm_lifecycle_event: 'perdure' }),
      'Raise it: npm run perdure -- run top-up r1 --usd AMOUNT. Perdure runs on.',
    );
  });

  for (const [text, spelled] of [
    ['see: perdure models breakers', 'see: npx perdure models breakers'],
    ['Usage: perdure [options] [command]', 'Usage: npx perdure [options] [command]'],
    ['npx perdure limits show', 'npx perdure limits show'],
    ['stopped in perdure chat-room, perdure runs on, perdure-worker', null],
  ] as const) {
    it(`spells the commands in ${JSON.stringify(text)}, once`, () => {
      const once = respell(text, { npm_command: 'exec' });
      assert.equal(once, spelled ?? text);
      assert.equal(respell(once, { npm_command: 'exec' }), once);
    });
  }

  it('spells commands in one place', () => {
    const words = '(?:agent|approve|budget|chat|effect|limits|models|run|schedule|tool) ';
    const hints = new RegExp(
      `npx perdure|npm run perdure|(?:say|Error)\\(.*perdure ${words}|[a-z,;:] perdure ${words}`,
    );
    const stray = readFiles('src/cli', '.ts').flatMap(({ path, text }) =>
      text.split('\n').flatMap((line) => (hints.test(line) ? [`${path}: ${line.trim()}`] : [])),
    );
    assert.deepEqual(
      stray.filter(
        (line) => !/^src\/cli\/spell-command\.ts|examples: \[|&& perdure replay|\| perdure run start/.test(line),
      ),
      [],
    );
  });

  for (const [outcome, text] of [
    [{ kind: 'cancelled', reason: 'cancelled' }, 'cancelled'],
    [{ kind: 'cancelled', reason: 'enough' }, 'cancelled: enough'],
  ] as const) {
    it(`says of a run that ended ${JSON.stringify(outcome)}: ${text}`, () => {
      assert.equal(formatOutcome(outcome), text);
    });
  }

  it('lines columns up', () => {
    const columns = [{ heading: 'name' }, { heading: 'cost', align: 'right' as const }, { heading: 'note' }];
    assert.equal(
      formatTable(columns, [
        ['é', '10', ''],
        ['longer', '9', 'x'],
      ]),
      'name    cost  note\né         10\nlonger     9  x',
    );
  });

  for (const [name, error, exitCode, message] of [
    ['a command’s own error', new CommandError(EXIT.gate, 'gate'), EXIT.gate, /^gate$/],
    ['input that was refused', new InvalidInput('bad'), EXIT.usage, /^bad$/],
    [
      'a model that cannot be had here',
      new ModelUnavailable('model-error', 'X is not a price', 'Set X to 2.5.'),
      EXIT.usage,
      /^X is not a price\. Set X to 2\.5\.$/,
    ],
    ['a run that is not there', new RunNotFound('r1', 'namespace n'), EXIT.notFound, /no run r1 in namespace n/],
    ['a message that was refused', new MessageRejected('ended'), EXIT.conflict, /^ended$/],
    ['names that only code uses', new InvalidInput('startKey is long'), EXIT.usage, /^--key is long$/],
    [
      'a server that denies',
      new Error('failed', { cause: grpc(7) }),
      EXIT.denied,
      /^Temporal refused: from the server$/,
    ],
    ['a server that is away', new Error('failed', { cause: grpc(14) }), EXIT.failed, /npm start.*TEMPORAL_ADDRESS/],
    ['a database that is away', Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), EXIT.failed, /DATABASE_URL/],
    [
      'a database that is away at two addresses',
      new AggregateError([Object.assign(new Error('x'), { code: 'ECONNREFUSED' })]),
      EXIT.failed,
      /DATABASE_URL/,
    ],
    ['a database that denies', Object.assign(new Error('x'), { code: '28P01' }), EXIT.denied, /the database refused/],
    [
      'a database without tables',
      Object.assign(new Error('x'), { code: '42P01' }),
      EXIT.failed,
      /npm start makes them/,
    ],
    ['anything else', new TypeError('odd'), EXIT.failed, /^odd$/],
  ] as const) {
    it(`ends with ${exitCode} for ${name}`, () => {
      const explained = explainError(error);
      assert.equal(explained.exitCode, exitCode);
      assert.match(explained.message, message);
    });
  }
});
