// Goal: whoever looks at a run that ended without what it was asked for, or that waits for money, reads what to do.
// Method: ends and attempts as values.
import assert from 'node:assert/strict';
import { formatNextSteps, formatTopUpWait } from '../../src/cli/format/next-steps.ts';
import { spellCommand } from '../../src/cli/spell-command.ts';
import type { Outcome } from '../../src/domain/run/run-end.ts';

const end = { answer: null, release: null, turns: 1, toolCalls: 0, tokens: 0, costPico: '0' } as const;
const steps = (outcome: Outcome | null, heldPico = '0'): string =>
  formatNextSteps({
    id: 'r1',
    capPico: '20000000000',
    heldPico,
    end: outcome === null ? null : { ...end, outcome },
  }).join('\n');
const retry = spellCommand('run retry r1');

describe('command line: next steps', () => {
  it('are none for a run that goes on, was answered, or was stopped', () => {
    assert.deepEqual(
      [null, { kind: 'completed' } as const, { kind: 'cancelled', reason: 'x' } as const].map((each) => steps(each)),
      ['', '', ''],
    );
  });

  it('take a run up that could not pay its next call', () => {
    const told = steps({ kind: 'budget-exhausted', dimension: 'usd' });
    assert.match(told, /^ {2}What was left of 0\.02 USD could not bear the next call/);
    assert.ok(told.includes(`${retry}    takes it up, with its cap anew`), told);
    assert.match(steps({ kind: 'budget-exhausted', dimension: 'turns' }), /takes it up, with its limits counted anew/);
  });

  it('look at the account that was used up', () => {
    const told = steps({ kind: 'budget-exhausted', dimension: 'usd', account: 'tenant acme' });
    assert.equal(told, `  ${retry}    takes it up when tenant acme has more: ${spellCommand('budget show')}`);
  });

  it('name what is held, as soon as no later call asks for it', () => {
    assert.match(steps({ kind: 'completed' }, '5'), /budget held {4}lists what is held/);
    assert.equal(steps(null, '5'), '');
  });

  it('say nothing of a run of which nobody knows whether it asks', () => {
    assert.equal(formatTopUpWait({ id: 'r1', kind: 'single', isHeard: false }, []), null);
  });

  for (const [what, kind, last, told] of [
    [
      'a run whose next call is dear',
      'single',
      { outcome: 'budget-refused', message: 'too dear' },
      /top-up: too dear\n.*run top-up r1 --usd/,
    ],
    ['a run that has used its turns', 'single', { outcome: 'ok', message: null }, /top-up: a limit of it is used up/],
    [
      'a conversation whose next call is dear',
      'conversation',
      { outcome: 'budget-refused', message: null },
      /Waits for a top-up/,
    ],
    ['a conversation that has answered', 'conversation', { outcome: 'replied', message: null }, null],
  ] as const) {
    it(`${told === null ? 'say nothing of' : 'top up'} ${what}`, () => {
      const wait = formatTopUpWait({ id: 'r1', kind, isHeard: true }, [last]);
      if (told === null) assert.equal(wait, null);
      else assert.match(wait ?? '', told);
    });
  }
});
