import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { readText } from './check-input.ts';
import type { ClientContext } from './context.ts';
import { InvalidInput, WebhookRefused } from './errors.ts';
import { startRun, type StartOptions } from './start-run.ts';

/** A request as it came: headers of `node:http` or of the fetch API, and the body's very bytes. */
export type WebhookRequest = {
  readonly headers: Headers | { readonly [name: string]: string | readonly string[] | undefined };
  /** Unparsed: a body that was parsed and written again has another signature. */
  readonly body: Uint8Array | string;
};

/** A request that was signed by someone who has the secret. */
export type VerifiedWebhook = {
  /** Unique for the message; a message that is sent again has the same. */
  readonly id: string;
  readonly sentAt: Date;
  readonly body: string;
};

export type WebhookStartOptions = Omit<StartOptions, 'input' | 'startKey' | 'kind' | 'attachments'> & {
  /** `whsec_` and base64, as the sender has it; several while it is being changed. */
  readonly secret: string | readonly string[];
  /** Who sends. Two senders may use the same message ids, so the start key has this in it. Default: the agent's name. */
  readonly source?: string;
  /** Says what the agent is asked. Default: the body as it is. */
  readonly inputOf?: (body: string) => string;
};

/** Bytes of a body: as much as an agent can be asked. */
export const WEBHOOK_BODY_BYTES_MAX = 262_144;

/** Characters of a message id; senders use some thirty. */
const WEBHOOK_ID_LENGTH_MAX = 128;

/**
 * Checks that a request is signed with a secret and not older, or further ahead, than five minutes.
 *
 * @throws WebhookRefused with the HTTP status that fits.
 * @see https://www.standardwebhooks.com
 */
export function verifyWebhook(
  { headers, body }: WebhookRequest,
  { secret }: Pick<WebhookStartOptions, 'secret'>,
): VerifiedWebhook {
  const text = readBody(body);
  const signed = {
    'webhook-id': headerOf(headers, 'webhook-id'),
    'webhook-timestamp': headerOf(headers, 'webhook-timestamp'),
    'webhook-signature': headerOf(headers, 'webhook-signature'),
  };
  const id = signed['webhook-id'];
  if (!/^[\x21-\x7e]+$/.test(id) || id.length > WEBHOOK_ID_LENGTH_MAX) {
    throw new WebhookRefused(400, `webhook-id must be 1 to ${WEBHOOK_ID_LENGTH_MAX} characters without spaces`);
  }
  // The package takes a number with anything behind it.
  if (!/^\d{1,12}$/.test(signed['webhook-timestamp'])) {
    throw new WebhookRefused(400, 'webhook-timestamp must be whole seconds since 1970');
  }
  const secrets = typeof secret === 'string' ? [secret] : secret;
  const problems = secrets.map((each) => problemOf(each, text, signed));
  if (problems.every((problem) => problem !== null)) {
    throw new WebhookRefused(401, problems.at(-1) ?? 'no secret is set, so nothing can be verified');
  }
  return { id, sentAt: new Date(Number(signed['webhook-timestamp']) * 1_000), body: text };
}

/**
 * Starts a run for a signed request. The message's id is the start key: a request that comes again, or that somebody replays, gives the
 * same run.
 *
 * @throws WebhookRefused when the request cannot be trusted or used; nothing was started.
 * @throws InvalidInput when the options are wrong, which is not the sender's fault.
 */
export async function startFromWebhook(
  context: ClientContext,
  request: WebhookRequest,
  options: WebhookStartOptions,
): Promise<{ readonly id: string; readonly tenant: string }> {
  const { secret, source, inputOf, ...start } = options;
  const { id, body } = verifyWebhook(request, { secret });
  const input = readInput(body, inputOf);
  return startRun(context, { ...start, input, kind: 'single', startKey: `webhook ${source ?? start.agent} ${id}` });
}

function readBody(body: Uint8Array | string): string {
  const bytes = typeof body === 'string' ? Buffer.byteLength(body) : body.length;
  if (bytes > WEBHOOK_BODY_BYTES_MAX) {
    throw new WebhookRefused(413, `the body has ${bytes} bytes, at most ${WEBHOOK_BODY_BYTES_MAX} are taken`);
  }
  if (typeof body === 'string') return body;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new WebhookRefused(400, 'the body is not valid UTF-8');
  }
}

/** What a sender wrote and an agent cannot be asked is the sender's mistake. */
function readInput(body: string, inputOf: (body: string) => string = (text) => text): string {
  try {
    return readText('the body', inputOf(body));
  } catch (error) {
    if (error instanceof InvalidInput || error instanceof SyntaxError) {
      throw new WebhookRefused(400, error.message, { cause: error });
    }
    throw error;
  }
}

function problemOf(secret: string, body: string, headers: Record<string, string>): string | null {
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false });
    return null;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.message;
    throw new InvalidInput('a secret of webhooks must be "whsec_" and base64', { cause: error });
  }
}

function headerOf(headers: WebhookRequest['headers'], name: string): string {
  if (headers instanceof Headers) return headers.get(name) ?? missing(name);
  const [, value] = Object.entries(headers).find(([key]) => key.toLowerCase() === name) ?? [];
  return typeof value === 'string' && value !== '' ? value : missing(name);
}

function missing(name: string): never {
  throw new WebhookRefused(400, `the header ${name} is missing, or is there twice`);
}
