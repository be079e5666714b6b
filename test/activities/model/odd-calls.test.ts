// Goal: calls that come in odd pieces are read as they are meant, and a reply that misses a part of itself is tried again.
// Method: streams as servers write them, through each provider's own package from a server of ours.
import assert from 'node:assert/strict';
import {
  begin,
  block,
  candidate,
  chatUsage,
  chunk,
  completed,
  created,
  finish,
  response,
  spent,
  spoken,
  words,
  type Event,
  outcomeOf,
} from '../../support/reply-events.ts';
import { type DoubleServer, startDouble } from '../../support/wire-doubles.ts';

/** Provider, what it is about, events, and the outcome: the kinds of its parts with what they say, or cause and disposition. */
type Row = readonly [string, string, readonly Event[], string];

const TABLE: readonly Row[] = [
  [
    'openai',
    'calls announced that do not come',
    [chunk({ content: 'Let me look.' }), chunk({}, 'tool_calls'), chatUsage],
    'model-error transient',
  ],
  [
    'openai',
    'an end in every event',
    [chunk({ content: 'Hel' }, 'stop'), chunk({ content: 'lo.' }, 'stop'), chatUsage],
    'assistant-text Hello.',
  ],
  [
    'openai',
    'parallel calls that come mixed, with one id',
    [
      chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'look', arguments: '{"at"' } }] }),
      chunk({ tool_calls: [{ index: 1, id: 'c', type: 'function', function: { name: 'look', arguments: '{"at"' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: ':1}' } }] }),
      chunk({ tool_calls: [{ index: 1, function: { arguments: ':2}' } }] }),
      chunk({}, 'tool_calls'),
      chatUsage,
    ],
    'tool-call {"at":1}, tool-call {"at":2}',
  ],
  [
    'ollama',
    'whole calls without ids',
    [
      chunk({ tool_calls: [{ function: { name: 'look', arguments: '{"at":1}' } }] }),
      chunk({ tool_calls: [{ function: { name: 'look', arguments: '{"at":2}' } }] }),
      chunk({}, 'tool_calls'),
    ],
    'tool-call {"at":1}, tool-call {"at":2}',
  ],
  [
    'openai',
    'arguments that are no JSON',
    [
      chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'look', arguments: '{at: 1' } }] }),
      chunk({}, 'tool_calls'),
      chatUsage,
    ],
    'tool-call "{at: 1"',
  ],
  [
    'openai',
    'no arguments at all',
    [
      chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'look' } }] }),
      chunk({}, 'tool_calls'),
      chatUsage,
    ],
    'tool-call {}',
  ],
  [
    'openai',
    'one call twice',
    [
      ...[1, 2].map(() =>
        chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'look', arguments: '{}' } }] }),
      ),
      chunk({}, 'tool_calls'),
      chatUsage,
    ],
    'model-error transient',
  ],
  [
    'anthropic',
    'arguments with a piece that is lost',
    [
      begin,
      ...block(
        0,
        { type: 'tool_use', id: 't', name: 'look', input: {} },
        { type: 'input_json_delta', partial_json: '{"at":' },
      ),
      ...finish('tool_use'),
    ],
    'model-error transient',
  ],
  [
    'anthropic',
    'a call whose beginning is lost',
    [
      begin,
      ...words(0, 'Let me look.'),
      ...block(
        1,
        { type: 'tool_use', id: 't', name: 'look', input: {} },
        { type: 'input_json_delta', partial_json: '{"at":1}' },
      ).slice(1),
      ...finish('tool_use'),
    ],
    'model-error transient',
  ],
  [
    'anthropic',
    'a full context',
    [begin, ...words(0, 'Hel'), ...finish('model_context_window_exceeded')],
    'validation final',
  ],
  [
    'openai-responses',
    'words that are lost',
    [created, ...spoken(0, 'Hello.').filter(({ type }) => type !== 'response.output_text.delta'), completed],
    'model-error transient',
  ],
  [
    'openai-responses',
    'an item that is lost',
    [
      created,
      ...spoken(0, 'Hello.'),
      {
        type: 'response.completed',
        ...response({ status: 'completed', usage: spent, output: [{ type: 'message' }, { type: 'function_call' }] }),
      },
    ],
    'model-error transient',
  ],
  [
    'google',
    'a streamed call that is not closed',
    [
      candidate([{ text: 'Let me look.' }]),
      candidate([{ functionCall: { name: 'look', willContinue: true } }]),
      candidate([{ functionCall: { partialArgs: [{ jsonPath: '$.at', stringValue: 'x', willContinue: true }] } }]),
      candidate([], 'STOP'),
    ],
    'model-error transient',
  ],
];

describe('odd calls', () => {
  let server: DoubleServer;

  before(async () => {
    server = await startDouble();
  });
  after(async () => server.close());

  for (const [provider, what, events, expected] of TABLE) {
    it(`of ${provider} with ${what}: ${expected}`, async () => {
      assert.equal(await outcomeOf(server, provider, events), expected);
    });
  }
});
