import type { JsonValue } from '../../domain/json.ts';
import { secretIn } from './mask-json.ts';
import { applyEdits, type Edit, type Masker } from './masker.ts';

/** Members that bring a text in pieces: a value may begin in one event of a stream and end in a later one. */
const PIECES = /^(?:arguments|content|delta|input|partial_json|reasoning|reasoning_content|refusal|text|thinking)$/;

/** Members that tell the pieces of several texts apart. */
const PLACES = ['index', 'output_index', 'content_index', 'summary_index', 'item_id', 'contentBlockIndex'];

type Leaf = {
  readonly channel: string;
  readonly text: string;
  /** The member that it is says that it is a secret. */
  readonly isSecret: boolean;
  readonly set: (text: string) => void;
};
type Line = { readonly start: number; readonly end: number; readonly event: JsonValue | null; isChanged: boolean };
type Piece = { readonly line: Line; readonly leaf: Leaf };

/** Masks a reply, whole or streamed, and says where its text changed: places in the text as it came. */
export function maskReply(text: string, masker: Masker): readonly Edit[] {
  const isStream = /^(?:data|event|id|:)/m.test(text) && /^data:/m.test(text);
  if (!isStream) return maskWhole(text, masker);
  const lines = dataLines(text);
  const channels = new Map<string, Piece[]>();
  for (const [number, line] of lines.entries()) {
    if (line.event === null) continue;
    for (const leaf of leavesOf(line.event, number)) {
      const pieces = channels.get(leaf.channel) ?? [];
      pieces.push({ line, leaf });
      channels.set(leaf.channel, pieces);
    }
  }
  for (const pieces of channels.values()) maskPieces(pieces, masker);
  return lines.flatMap((line): Edit[] => {
    const { start, end, event } = line;
    const raw = text.slice(start, end);
    const masked = event === null ? masker.mask(raw) : line.isChanged ? ` ${JSON.stringify(event)}` : raw;
    return masked === raw ? [] : [{ start, end, text: masked }];
  });
}

function maskWhole(text: string, masker: Masker): readonly Edit[] {
  const event = parse(text);
  if (event === null) return masker.edits(text);
  const line: Line = { start: 0, end: text.length, event, isChanged: false };
  for (const leaf of leavesOf(event, 0)) maskPieces([{ line, leaf }], masker);
  return line.isChanged ? [{ start: 0, end: text.length, text: JSON.stringify(event) }] : [];
}

/** Finds what follows `data:` on each line. A line that was cut is no JSON and is masked as it is. */
function dataLines(text: string): readonly Line[] {
  return [...text.matchAll(/^data:(.*)$/gm)].map((match) => {
    const start = match.index + 'data:'.length;
    const raw = match[1] ?? '';
    return { start, end: start + raw.length, event: parse(raw), isChanged: false };
  });
}

function maskPieces(pieces: readonly Piece[], masker: Masker): void {
  const whole = pieces.map(({ leaf }) => leaf.text).join('');
  const isWhole = pieces.some(({ leaf }) => leaf.isSecret);
  const edits = isWhole ? [{ start: 0, end: whole.length, text: masker.maskWhole('key', whole) }] : masker.edits(whole);
  if (edits.length === 0) return;
  let from = 0;
  for (const { line, leaf } of pieces) {
    const to = from + leaf.text.length;
    const own = edits.filter(({ start, end }) => start < to && end > from);
    if (own.length > 0) {
      // The mask stands in the piece in which the value begins; of later pieces only goes what belongs to the value.
      const cuts = own.map(({ start, end, text }) => ({
        start: Math.max(start, from) - from,
        end: Math.min(end, to) - from,
        text: start >= from ? text : '',
      }));
      leaf.set(applyEdits(leaf.text, cuts));
      line.isChanged = true;
    }
    from = to;
  }
}

type Members = { [name: string]: JsonValue };

/** Lists the texts of an event with where each belongs: pieces of one text share a channel. */
function leavesOf(event: JsonValue, number: number): readonly Leaf[] {
  const leaves: Leaf[] = [];
  const visit = (value: JsonValue, path: string, set: (text: string) => void): void => {
    const own = /[^.]*$/.exec(path)?.[0] ?? '';
    const secret = secretIn(own, value);
    if (secret !== null) {
      leaves.push({ channel: `${path} of ${number}`, text: secret, isSecret: true, set });
    } else if (typeof value === 'string') {
      const channel = PIECES.test(own) ? path : `${path} of ${number}`;
      leaves.push({ channel, text: value, isSecret: false, set });
    } else if (Array.isArray(value)) {
      const items = value as JsonValue[];
      for (const [index, item] of items.entries()) {
        visit(item, `${path}.${index}`, (text) => {
          items[index] = text;
        });
      }
    } else if (value !== null && typeof value === 'object') {
      const members = value as Members;
      const place = PLACES.map((name) => placeIn(name, members[name])).join(' ');
      for (const [name, member] of Object.entries(members)) {
        visit(member, `${path}(${place}).${name}`, (text) => {
          members[name] = text;
        });
      }
    }
  };
  visit(event, '', () => undefined);
  return leaves;
}

function placeIn(name: string, value: JsonValue | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? `${name}=${value}` : '';
}

function parse(text: string): JsonValue | null {
  try {
    const value = JSON.parse(text) as JsonValue;
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}
