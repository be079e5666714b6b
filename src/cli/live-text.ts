import type { StreamProgress } from '../client/index.ts';
import type { Cli } from './cli.ts';
import { plain } from './format/units.ts';

/** Writes what models say to a terminal while they say it. What was written stays: nothing is written over. */
export type LiveText = {
  /** The command's own output, which begins on a line of its own. */
  readonly cli: Cli;
  readonly tell: (progress: StreamProgress) => void;
  /** Tells whether words of a turn have come. */
  readonly hasSpoken: (turn: number) => boolean;
  /** Sees to it that the answer of a turn stands there whole, and once. What is still told of this turn adds nothing. */
  readonly settle: (answer: string, turn: number) => void;
};

/** Makes the live text of a terminal. Where there is none, only whole answers are written. */
export function createLiveText(cli: Cli): LiveText {
  const { write } = cli;
  let partial = '';
  let isWhole = true;
  let isMidLine = false;
  let last: string | null = null;
  let settledTurn = 0;
  let spokenTurn = 0;

  const breakLine = (): void => {
    if (isMidLine) write?.('\n');
    isMidLine = false;
  };
  const put = (text: string): void => {
    if (text === '') return;
    write?.(plain(text));
    isMidLine = !text.endsWith('\n');
  };
  const forget = (): void => {
    breakLine();
    partial = '';
    isWhole = true;
  };
  const complete = (text: string): void => {
    if (isWhole && text.startsWith(partial)) put(text.slice(partial.length));
    else {
      breakLine();
      put(text);
    }
    forget();
    if (text !== '') last = text;
  };
  const own = onOwnLines(cli, breakLine);
  const tell = (progress: StreamProgress): void => {
    if ((progress.kind === 'end' ? progress.turn : progress.position.turn) <= settledTurn) return;
    switch (progress.kind) {
      case 'delta':
        if (progress.of !== 'text') return;
        spokenTurn = progress.position.turn;
        partial += progress.text;
        put(progress.text);
        return;
      case 'reset':
        if (partial !== '') own.say('  (that was broken off; it begins anew)');
        forget();
        spokenTurn = 0;
        return;
      case 'gap':
        isWhole = false;
        return;
      case 'end':
        complete(progress.text);
    }
  };
  return {
    cli: own,
    tell: write === undefined ? () => undefined : tell,
    hasSpoken: (turn) => turn <= spokenTurn,
    settle: (answer, turn) => {
      if (partial !== '') complete(answer);
      else if (last?.endsWith(answer) !== true) own.print(plain(answer));
      last = null;
      settledTurn = turn;
    },
  };
}

function onOwnLines(cli: Cli, breakLine: () => void): Cli {
  return {
    ...cli,
    print: (line) => {
      breakLine();
      cli.print(line);
    },
    say: (line) => {
      breakLine();
      cli.say(line);
    },
  };
}
