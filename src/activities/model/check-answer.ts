import { z } from 'zod';
import type { AgentOutput } from '../../authoring/agent-output.ts';
import { canonicalJson, isDeeperThan, type JsonValue } from '../../domain/json.ts';
import {
  describeMisfit,
  type OutputContract,
  type ReadAnswer,
  readJsonAnswer,
} from '../../domain/model/output-contract.ts';
import { LIMITS } from '../../domain/run/limits.ts';

/** Characters of a key in what is said of an answer; a model may write keys of any length. */
const KEY_LENGTH_MAX = 80;

export type CheckedAnswer =
  | { readonly kind: 'fits'; readonly text: string }
  /** `problem` is for the model and for people: the schema's words and places in the value, never the value. */
  | { readonly kind: 'misfit'; readonly problem: string };

/**
 * Checks an answer against the output schema of a release. It never throws: the answer was paid for.
 *
 * @param own What the agent of this worker declares: it checks as its author wrote it, where the release is of the same schema.
 * @param said Readings of the answer, the likeliest first.
 */
export function checkAnswer(
  contract: OutputContract,
  own: AgentOutput | undefined,
  said: readonly string[],
): CheckedAnswer {
  const readings = said.map(readJsonAnswer);
  const [value] = readings.flatMap((read) =>
    read.kind === 'ok' && !isDeeperThan(read.value, LIMITS.outputDepthMax) ? [read.value] : [],
  );
  if (value === undefined) {
    const inexact = readings.find(({ kind }) => kind === 'inexact');
    return { kind: 'misfit', problem: inexact === undefined ? 'it is not one JSON value.' : tooManyDigits(inexact) };
  }
  const checked = checkerOf(contract, own)(value);
  if (checked.kind === 'invalid') return { kind: 'misfit', problem: checked.problem };
  return { kind: 'fits', text: JSON.stringify(checked.value) };
}

function tooManyDigits(read: ReadAnswer): string {
  const place = read.kind === 'inexact' ? read.key.slice(0, KEY_LENGTH_MAX) : '';
  return `${place === '' ? 'the value' : place}: the number has more digits than can be kept; write it shorter, or as text if the schema takes that.`;
}

/** A run whose release is older than this worker's agent is held to what its release says. */
function checkBySchema(schema: OutputContract['schema'], value: JsonValue): ReturnType<AgentOutput['parse']> {
  try {
    const parsed = z.fromJSONSchema(schema).safeParse(value);
    if (!parsed.success) return { kind: 'invalid', problem: describeMisfit(parsed.error.issues) };
    return { kind: 'ok', value: parsed.data as JsonValue };
  } catch (error) {
    return { kind: 'invalid', problem: `the schema of the release cannot be read (${(error as Error).name}).` };
  }
}

function checkerOf({ schema }: OutputContract, own: AgentOutput | undefined): AgentOutput['parse'] {
  if (own !== undefined && canonicalJson(own.schema) === canonicalJson(schema)) return own.parse;
  return (value) => checkBySchema(schema, value);
}
