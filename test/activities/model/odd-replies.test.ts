// Goal: what providers write into their streams besides words and calls neither passes for a reply nor spoils one.
// Method: streams in the shapes that providers document, through each provider's own package from a server of ours.
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
  item,
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
    'a refusal',
    [chunk({ refusal: 'I cannot' }), chunk({ refusal: ' help.' }), chunk({}, 'stop'), chatUsage],
    'guardrail-block final',
  ],
  ['openai', 'a refusal that is cut', [chunk({ refusal: 'I cannot' })], 'model-error transient'],
  [
    'openai',
    'an error of a proxy',
    [chunk({ content: 'Hel' }), { ...chunk({}, 'error'), error: { code: 502, message: 'Provider disconnected' } }],
    'model-error transient',
  ],
  [
    'openai',
    'the words of a filter',
    [chunk({ content: 'Hel' }), chunk({}, 'content_filter'), chatUsage],
    'guardrail-block final',
  ],
  [
    'openai',
    'a reason that nobody knows',
    [chunk({ content: 'Hello.' }), chunk({}, 'gave_up'), chatUsage],
    'model-error transient',
  ],
  [
    'groq',
    'a call that cannot be read',
    [
      chunk({}),
      { error: { message: 'Failed to call a function.', code: 'tool_use_failed', type: 'invalid_request_error' } },
    ],
    'model-error transient',
  ],
  [
    'groq',
    'an error beside its usage',
    [chunk({ content: 'Hel' }), { ...chunk({}), x_groq: { id: 'x', error: 'over capacity' } }],
    'model-error transient',
  ],
  [
    'deepseek',
    'no more resources',
    [chunk({ content: 'Hel' }), chunk({}, 'insufficient_system_resource'), chatUsage],
    'model-error transient',
  ],
  ['mistral', 'an error', [chunk({ content: 'Hel' }), chunk({}, 'error'), chatUsage], 'model-error transient'],
  [
    'mistral',
    'an error for the whole',
    [
      chunk({ content: 'Hel' }),
      { object: 'error', message: 'Rate limit exceeded', type: 'rate_limited', code: '1300' },
    ],
    'model-rate-limited transient',
  ],
  [
    'anthropic',
    'pings and events that nobody knows',
    [begin, { type: 'ping' }, ...words(0, 'Hello.'), { type: 'new_event', x: 1 }, ...finish('end_turn')],
    'assistant-text Hello.',
  ],
  [
    'anthropic',
    'tools of its own',
    [
      begin,
      ...words(0, 'Let me look. '),
      ...block(
        1,
        { type: 'server_tool_use', id: 's1', name: 'web_search', input: {} },
        { type: 'input_json_delta', partial_json: '{"query":"x"}' },
      ),
      ...block(2, { type: 'web_search_tool_result', tool_use_id: 's1', content: [] }),
      ...words(3, 'Nothing.'),
      ...finish('end_turn'),
    ],
    'assistant-text Let me look. , assistant-text Nothing.',
  ],
  [
    'anthropic',
    'reasoning that is hidden',
    [begin, ...block(0, { type: 'redacted_thinking', data: 'abc' }), ...words(1, 'Hello.'), ...finish('end_turn')],
    'reasoning , assistant-text Hello.',
  ],
  ['anthropic', 'a refusal', [begin, ...words(0, 'I can'), ...finish('refusal')], 'guardrail-block final'],
  ['anthropic', 'a pause', [begin, ...words(0, 'Let me look.'), ...finish('pause_turn')], 'model-error transient'],
  [
    'anthropic',
    'an error at the start',
    [{ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }],
    'model-error transient',
  ],
  [
    'anthropic',
    'an error',
    [begin, ...words(0, 'Hel'), { type: 'error', error: { type: 'rate_limit_error', message: 'Slow.' } }],
    'model-rate-limited transient',
  ],
  [
    'anthropic',
    'an error after which it goes on',
    [
      begin,
      { type: 'error', error: { type: 'api_error', message: 'x' } },
      ...words(0, 'Hello.'),
      ...finish('end_turn'),
    ],
    'model-error transient',
  ],
  [
    'anthropic',
    'two replies',
    [
      begin,
      ...words(0, 'One.'),
      ...finish('end_turn'),
      { ...begin, message: { ...(begin['message'] as object), id: 'm2' } },
      ...words(0, 'Two.'),
      ...finish('end_turn'),
    ],
    'model-error transient',
  ],
  [
    'openai-responses',
    'tools of its own and events that nobody knows',
    [
      created,
      { type: 'response.new_thing', x: 1 },
      ...item(0, { type: 'web_search_call', id: 'w1', status: 'completed', action: { type: 'search', query: 'x' } }),
      ...spoken(1, 'Nothing.'),
      completed,
    ],
    'assistant-text Nothing.',
  ],
  [
    'openai-responses',
    'a refusal',
    [
      created,
      ...item(
        0,
        {
          type: 'message',
          id: 'msg_0',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'refusal', refusal: 'No.' }],
        },
        { type: 'response.refusal.delta', item_id: 'msg_0', output_index: 0, content_index: 0, delta: 'No.' },
      ),
      completed,
    ],
    'guardrail-block final',
  ],
  [
    'openai-responses',
    'a limit',
    [
      created,
      ...spoken(0, 'Hel'),
      {
        type: 'response.incomplete',
        ...response({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, usage: spent }),
      },
    ],
    'model-error final',
  ],
  [
    'openai-responses',
    'a failure',
    [
      created,
      ...spoken(0, 'Hel'),
      { type: 'response.failed', ...response({ status: 'failed', error: { code: 'server_error', message: 'x' } }) },
    ],
    'model-error transient',
  ],
  [
    'openai-responses',
    'a failure for the rate',
    [
      created,
      {
        type: 'response.failed',
        ...response({ status: 'failed', error: { code: 'rate_limit_exceeded', message: 'x' } }),
      },
    ],
    'model-rate-limited transient',
  ],
  [
    'openai-responses',
    'an error',
    [created, ...spoken(0, 'Hel'), { type: 'error', code: 'server_error', message: 'x', param: null }],
    'model-error transient',
  ],
  [
    'openai-responses',
    'an error at the start',
    [
      {
        type: 'error',
        error: { type: 'invalid_request_error', code: 'context_length_exceeded', message: 'Too long.' },
      },
    ],
    'validation final',
  ],
  [
    'xai',
    'an error',
    [
      created,
      ...spoken(0, 'Hel'),
      { type: 'error', code: 'server_error', message: 'x', param: null, sequence_number: 3 },
    ],
    'model-error transient',
  ],
  [
    'google',
    'a prompt that is blocked',
    [
      {
        promptFeedback: { blockReason: 'PROHIBITED_CONTENT' },
        usageMetadata: { promptTokenCount: 9, totalTokenCount: 9 },
      },
    ],
    'guardrail-block final',
  ],
  [
    'google',
    'a reply that is blocked',
    [candidate([{ text: 'Hel' }]), candidate([], 'SAFETY')],
    'guardrail-block final',
  ],
  ['google', 'a call that cannot be read', [candidate([], 'MALFORMED_FUNCTION_CALL')], 'model-error transient'],
  [
    'google',
    'an error',
    [
      candidate([{ text: 'Hel' }]),
      { error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } },
    ],
    'model-error transient',
  ],
  [
    'google',
    'code that it ran',
    [
      candidate(
        [
          { executableCode: { language: 'PYTHON', code: '1+1' } },
          { codeExecutionResult: { outcome: 'OUTCOME_OK', output: '2' } },
          { text: 'Two.' },
        ],
        'STOP',
      ),
    ],
    'assistant-text Two.',
  ],
];

describe('odd replies', () => {
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
