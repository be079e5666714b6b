import type { MessagePart } from '../../domain/model/message-part.ts';
import type { AuditRecord } from '../../domain/schemas/run-records.ts';
import { formatCount, formatMoment, oneLine, plain } from './units.ts';

/** Writes a part of a transcript: who, then what, with the lines after the first indented. */
export function formatPart(part: MessagePart): string {
  const [who, text] = wordsOf(part);
  return `  ${who}: ${plain(text).replaceAll('\n', '\n    ')}`;
}

/** Writes an audit record as one line. */
export function formatAudit({ at, principal, action, target, after }: AuditRecord): string {
  const what = after === null ? '' : `  ${oneLine(JSON.stringify(after))}`;
  return `  ${formatMoment(at)}  ${oneLine(principal)}  ${action}  ${target}${what}`;
}

function wordsOf(part: MessagePart): readonly [string, string] {
  switch (part.kind) {
    case 'user-text':
      return ['user', part.text];
    case 'guidance':
      return ['guidance', part.text];
    case 'summary':
      return ['summary', part.text];
    case 'recalled':
      return ['recalled', part.text];
    case 'file':
      return ['user', `[file ${part.name}, ${part.mediaType}, ${formatCount(part.bytes, 'byte')}]`];
    case 'assistant-text':
      return ['agent', part.text];
    case 'reasoning':
      return ['agent thinks', part.text];
    case 'tool-call':
      return [`call ${part.toolCallId}`, `${part.toolName} ${JSON.stringify(part.input)}`];
    case 'tool-result': {
      const text = typeof part.output === 'string' ? part.output : JSON.stringify(part.output);
      return [`${part.isError ? 'error' : 'result'} ${part.toolCallId}`, text];
    }
  }
}
