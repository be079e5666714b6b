import type { Rehearsal, RehearsalReply, RehearsalView } from '../../src/authoring/index.ts';
import { ASK_PERSON, readConversation, type Conversation } from './rehearsal/conversation.ts';
import { planConversation } from './rehearsal/plan-conversation.ts';
import { readResult, type Move } from './rehearsal/plan.ts';

/** Plays the support agent's model by rules: looks up before it changes, and says only what a tool gave. */
export const rehearsal: Rehearsal = (view) => {
  const conversation = readConversation(view.parts);
  const moves = planConversation(conversation);
  const calls = moves.filter((move) => move.kind === 'call');
  // Results come first: what else there is to say or ask is said when they are here.
  if (calls.length > 0) return { toolCalls: calls.map(({ tool, input }) => ({ tool, input })) };
  const question = moves.find((move) => move.kind === 'ask');
  if (question !== undefined) return askPerson(view, conversation, moves, question.question);
  return { text: sayAll(moves) };
};

/** Asks with the built-in tool where the agent has it, but never the same question twice. */
function askPerson(
  view: RehearsalView,
  conversation: Conversation,
  moves: readonly Move[],
  question: string,
): RehearsalReply {
  if (!view.tools.includes(ASK_PERSON)) return { text: sayAll(moves) };
  if (readResult(conversation, ASK_PERSON, { question }) === undefined) {
    return { toolCalls: [{ tool: ASK_PERSON, input: { question } }] };
  }
  return { text: 'I cannot go on without that. Please write again with your order id and your e-mail address.' };
}

function sayAll(moves: readonly Move[]): string {
  return moves
    .map((move) => {
      if (move.kind === 'say') return move.text;
      return move.kind === 'ask' ? move.question : '';
    })
    .filter((text) => text !== '')
    .join('\n');
}
