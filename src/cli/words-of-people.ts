/** What a person types or reads for names that only code uses. */
const WORDS: Readonly<Record<string, string>> = {
  provideInput: 'send',
  topUpBudget: 'top-up',
  decideApproval: 'approval decision',
  requestStop: 'stop',
  startKey: '--key',
  argsHash: 'the hash of the arguments',
  'topUp.costPico': '--usd',
  'limits.costPico': '--limit-usd',
};

const NAMES = new RegExp(`\\b(?:${Object.keys(WORDS).join('|').replaceAll('.', '\\.')})\\b`, 'g');

/** Writes a message of ours in the words of the command line: names of messages and fields mean nothing to whoever types commands. */
export function inWordsOfPeople(message: string): string {
  return message.replaceAll(NAMES, (name) => WORDS[name] ?? name);
}
