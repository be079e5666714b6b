// Starts a run for each signed webhook. Run npm start in another terminal, then in this folder:
// PERDURE_WEBHOOK_SECRET=whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQ= npx node examples/webhook-server.ts
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, WEBHOOK_BODY_BYTES_MAX, WebhookRefused } from '../src/client/index.ts';
import { temporalTarget } from '../src/runtime/connection.ts';

const secret = process.env['PERDURE_WEBHOOK_SECRET'] ?? '';
const { address = 'localhost:7233' } = temporalTarget().connectionOptions;
const taskQueue = `${process.env['PERDURE_QUEUE_PREFIX'] ?? 'perdure'}-agents`;
const client = await connect({ address, taskQueue });

const server = createServer((request, response) => {
  const answer = (status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  void readBody(request)
    .then((body) => client.startFromWebhook({ headers: request.headers, body }, { secret, agent: 'support' }))
    .then(
      // The run is recorded, and nobody waits for its answer here: a sender that hears nothing for seconds sends again.
      ({ id }) => answer(202, { id }),
      (error: unknown) => {
        console.error(error instanceof Error ? error.message : error);
        if (error instanceof WebhookRefused) return answer(error.status, { error: 'refused' });
        return answer(503, { error: 'try again' });
      },
    );
});
server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  console.log(`listening on ${(server.address() as AddressInfo).port}`);
});

/** Reads a body, and no more of it than one byte too many. */
async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > WEBHOOK_BODY_BYTES_MAX) break;
  }
  return Buffer.concat(chunks);
}
