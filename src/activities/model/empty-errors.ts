const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/**
 * Takes `"error": null` out of the events of a stream: some servers write it into each, and the package of OpenAI-compatible servers takes an event that has the
 * member for an error, whatever is in it.
 */
export function withoutEmptyErrors(response: Response): Response {
  const { body, status, statusText, headers } = response;
  if (body === null || !response.ok || !/event-?stream/.test(headers.get('content-type') ?? '')) return response;
  let rest = Buffer.alloc(0);
  const lines = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      const bytes = Buffer.concat([rest, chunk]);
      const end = Math.max(bytes.lastIndexOf(LINE_FEED), bytes.lastIndexOf(CARRIAGE_RETURN)) + 1;
      rest = bytes.subarray(end);
      if (end > 0) controller.enqueue(clean(bytes.subarray(0, end)));
    },
    flush: (controller) => {
      if (rest.length > 0) controller.enqueue(clean(rest));
    },
  });
  return new Response(body.pipeThrough(lines), { status, statusText, headers });
}

function clean(bytes: Buffer): Uint8Array {
  if (!bytes.includes('"error"')) return bytes;
  return Buffer.from(
    bytes
      .toString('utf8')
      .split(/(?<=[\r\n])/)
      .map(cleanLine)
      .join(''),
  );
}

function cleanLine(line: string): string {
  const [, start = '', data = '', end = ''] = /^(data: ?)(\{.*\})(\s*)$/s.exec(line) ?? [];
  if (!/"error"\s*:\s*null/.test(data)) return line;
  try {
    const { error, ...event } = JSON.parse(data) as { readonly error?: unknown };
    return error === null ? `${start}${JSON.stringify(event)}${end}` : line;
  } catch {
    return line;
  }
}
