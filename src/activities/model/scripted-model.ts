import type { LanguageModelV4 } from '@ai-sdk/provider';
import type { RehearsalView } from '../../authoring/define-agent.ts';
import { delay } from '../delay.ts';
import { inProcessModel, type InProcessReply } from './in-process-model.ts';
import { ScriptError } from './model-errors.ts';

/** One reply of a script, or an error to throw instead of it. */
export type ScriptedReply = InProcessReply & {
  /** Thrown instead of replying. */
  readonly error?: Error;
  /** Milliseconds before the reply; the call's signal cuts them short. */
  readonly delayMs?: number;
};

/** Tells by the transcript which reply comes. `call` counts the calls of this script from 1. */
export type Script = (view: RehearsalView & { readonly call: number }) => ScriptedReply;

export type ScriptedModel = LanguageModelV4 & {
  /** The transcripts that the script was called with. */
  readonly views: readonly RehearsalView[];
  /** @throws ScriptError when a reply was not used, or a call found none. */
  readonly assertUsed: () => void;
};

/**
 * Plays a fixed list of replies, or what a function makes of the transcript. A call more than there are replies fails, and
 * `assertUsed` fails on a reply too many: a test then knows how many calls there were.
 *
 * @throws ScriptError from a call that finds no reply.
 */
export function scripted(script: readonly ScriptedReply[] | Script): ScriptedModel {
  const views: RehearsalView[] = [];
  const model = inProcessModel('scripted', 'script', async (view, signal) => {
    views.push(view);
    const call = views.length;
    const reply = typeof script === 'function' ? script({ ...view, call }) : script[call - 1];
    if (reply === undefined) throw new ScriptError(`Call ${call} is not in the script`);
    if (reply.delayMs !== undefined) await delay(reply.delayMs, signal);
    if (reply.error !== undefined) throw reply.error;
    return reply;
  });
  const assertUsed = (): void => {
    if (typeof script === 'function' || views.length === script.length) return;
    throw new ScriptError(`The script has ${script.length} replies, and the model was called ${views.length} times`);
  };
  return { ...model, views, assertUsed };
}
