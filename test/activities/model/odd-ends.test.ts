// Goal: a reply that says itself that it is not whole is none, and what servers write around whole ones spoils none.
// Method: streams in the shapes that servers of the same protocols send, through each provider's own package from a server of ours.
import assert from 'node:assert/strict';
import {
  begin,
  block,
  chatUsage,
  chunk,
  completed,
  created,
  finish,
  item,
  response,
  spent,
  spoken,
  type Event,
  outcomeOf,
} from '../../support/reply-events.ts';
import { type DoubleServer, startDouble } from '../../support/wire-doubles.ts';

/** Provider, what it is about, events, and the outcome. */
type Row = readonly [string, string, readonly Event[], string];

const BROKEN_OFF = 'model-error transient';

const ended = (type: string, fields: Event): Event => ({ type, ...response({ usage: spent, ...fields }) });
const message = (text: string, index = 0): Event => ({
  type: 'message',
  id: `msg_${index}`,
  role: 'assistant',
  status: 'completed',
  content: [{ type: 'output_text', text, annotations: [] }],
});
const saying = (text: string): readonly Event[] => [
  { type: 'response.output_item.added', output_index: 0, item: { ...message(''), content: [] } },
  { type: 'response.output_text.delta', item_id: 'msg_0', output_index: 0, content_index: 0, delta: text },
  { type: 'response.output_item.done', output_index: 0, item: message(text) },
];
const begun = [created, ...saying('Hel')];
const silent = item(0, message('Hello.'));
const cutCall = item(0, {
  type: 'function_call',
  id: 'fc',
  call_id: 'c',
  name: 'look',
  arguments: '{"a":',
  status: 'incomplete',
});
const nulled = (event: Event): Event => ({ ...event, error: null });

const TABLE: readonly Row[] = [
  ...['openai-responses', 'xai'].flatMap((provider): Row[] => [
    [
      provider,
      'an end without its reason',
      [...begun, ended('response.incomplete', { status: 'incomplete' })],
      BROKEN_OFF,
    ],
    [provider, 'a status of incomplete', [...begun, ended('response.completed', { status: 'incomplete' })], BROKEN_OFF],
    [provider, 'a status of cancelled', [...begun, ended('response.completed', { status: 'cancelled' })], BROKEN_OFF],
    [
      provider,
      'a call that was cut by a limit of tools',
      [
        created,
        ...cutCall,
        ended('response.incomplete', { status: 'incomplete', incomplete_details: { reason: 'max_tool_calls' } }),
      ],
      BROKEN_OFF,
    ],
    [
      provider,
      'the limit of words',
      [
        ...begun,
        ended('response.incomplete', { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }),
      ],
      'model-error final',
    ],
  ]),
  ['xai', 'words that come with their item alone', [created, ...silent, completed], 'assistant-text Hello.'],
  ['xai', 'words that an item begins with and says again', [created, ...spoken(0, 'Hello.'), completed], BROKEN_OFF],
  ['openai-responses', 'words that its package does not read', [created, ...silent, completed], BROKEN_OFF],
  ...['response.queued', 'response.web_search_call.failed', 'response.new_thing'].map((type): Row => [
    'xai',
    `an event ${type}`,
    [created, { type }, ...saying('Hello.'), completed],
    'assistant-text Hello.',
  ]),
  [
    'xai',
    'an event with words that it does not know',
    [created, { type: 'response.refusal.delta', delta: 'No' }, ...begun, completed],
    BROKEN_OFF,
  ],
  ...['openai', 'ollama'].map((provider): Row => [
    provider,
    'an error that is none',
    [
      nulled(chunk({ content: 'Héllo' })),
      nulled(chunk({ content: '.' })),
      nulled(chunk({}, 'stop')),
      nulled(chatUsage),
    ],
    'assistant-text Héllo.',
  ]),
  [
    'openai',
    'an error that is one',
    [nulled(chunk({ content: 'Hel' })), { ...chunk({}), error: { message: 'overloaded' } }],
    BROKEN_OFF,
  ],
  [
    'anthropic',
    'words that a block begins with',
    [begin, ...block(0, { type: 'text', text: 'Hel' }, { type: 'text_delta', text: 'lo.' }), ...finish('end_turn')],
    BROKEN_OFF,
  ],
];

describe('odd ends of replies', () => {
  let server: DoubleServer;

  before(async () => {
    server = await startDouble();
  });
  after(async () => server.close());

  for (const [provider, what, events, outcome] of TABLE) {
    it(`knows ${what} of ${provider}`, async () => {
      assert.equal(await outcomeOf(server, provider, events), outcome);
    });
  }
});
