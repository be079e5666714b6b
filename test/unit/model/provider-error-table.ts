export type Headers = Readonly<Record<string, string>>;

/** What an error means, in one word. */
export const MEANINGS = {
  limited: 'model-rate-limited transient',
  quota: 'model-quota mendable',
  locked: 'model-authentication mendable',
  down: 'model-error transient',
  missing: 'model-error final',
  content: 'guardrail-block final',
  invalid: 'validation final',
  long: 'validation final too-long',
} as const;

/** Meaning, status, body, headers, and the wait that is asked for in milliseconds. */
type Row = readonly [keyof typeof MEANINGS, number, unknown, Headers?, number?];

export const openAi = (message: string, type: string, code: string | null = null) => ({
  error: { message, type, code },
});
export const anthropic = (type: string, message: string) => ({
  type: 'error',
  error: { type, message },
  request_id: 'req_1',
});
export const google = (code: number, status: string, message: string, details: readonly object[] = []) => ({
  error: { code, message, status, details },
});
const mistral = (message: unknown, type: string, code: string | null = null) => ({
  object: 'error',
  message,
  type,
  param: null,
  code,
});
const aws = (type: string): Headers => ({ 'x-amzn-errortype': `${type}:http://internal.amazon.com/coral/` });
const wait = (retryDelay: string) => ({ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay });
const quotas = (...quotaIds: readonly string[]) => ({
  '@type': 'type.googleapis.com/google.rpc.QuotaFailure',
  violations: quotaIds.map((quotaId) => ({ quotaId })),
});
const reason = (word: string) => ({ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: word });

export const PROVIDER_ERRORS: Readonly<Record<string, readonly Row[]>> = {
  OpenAI: [
    ['locked', 401, openAi('Incorrect API key provided: sk-12.', 'invalid_request_error', 'invalid_api_key')],
    ['locked', 403, openAi('Country, region, or territory not supported', 'request_forbidden', 'unsupported_country')],
    [
      'limited',
      429,
      openAi('Rate limit reached. Please try again in 20ms.', 'requests', 'rate_limit_exceeded'),
      {},
      20,
    ],
    [
      'limited',
      429,
      openAi('Rate limit reached for gpt-5 on tokens per min.', 'tokens', 'rate_limit_exceeded'),
      {
        'x-ratelimit-remaining-requests': '10',
        'x-ratelimit-reset-requests': '8m0s',
        'x-ratelimit-remaining-tokens': '0',
        'x-ratelimit-reset-tokens': '1m2s',
      },
      62_000,
    ],
    ['quota', 429, openAi('You exceeded your current quota.', 'insufficient_quota', 'insufficient_quota')],
    ['quota', 429, openAi('Billing hard limit has been reached', 'x', 'billing_hard_limit_reached')],
    ['quota', 429, openAi('Request too large for gpt-5 on tokens per min', 'tokens', 'rate_limit_exceeded')],
    ['down', 500, openAi('The server had an error while processing your request', 'server_error')],
    ['down', 503, openAi('The engine is currently overloaded, please try again later', 'server_error')],
    ['down', 503, openAi('Slow down', 'service_unavailable_error', 'slow_down')],
    ['missing', 404, openAi('The model `gpt-9` does not exist', 'invalid_request_error', 'model_not_found')],
    ['content', 400, openAi('Invalid prompt: flagged for usage policy.', 'invalid_request_error', 'invalid_prompt')],
    ['long', 400, openAi('Your input exceeds the context window.', 'invalid_request_error', 'context_length_exceeded')],
    ['invalid', 400, openAi("Unsupported parameter: 'max_tokens'", 'invalid_request_error', 'unsupported_parameter')],
    ['invalid', 400, openAi("Invalid 'tools[0].name': string does not match pattern", 'invalid_request_error')],
  ],
  Anthropic: [
    ['invalid', 400, anthropic('invalid_request_error', 'messages: at least one message is required')],
    ['quota', 400, anthropic('invalid_request_error', 'Your credit balance is too low to access the Anthropic API.')],
    [
      'quota',
      400,
      anthropic('invalid_request_error', 'You have reached your specified API usage limits. You will regain access.'),
    ],
    ['long', 400, anthropic('invalid_request_error', 'prompt is too long: 208310 tokens > 200000 maximum')],
    [
      'long',
      400,
      anthropic('invalid_request_error', 'input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000'),
    ],
    ['content', 400, anthropic('invalid_request_error', 'Output blocked by content filtering policy')],
    ['locked', 401, anthropic('authentication_error', 'invalid x-api-key')],
    ['quota', 402, anthropic('billing_error', 'There is an issue with your billing or payment information.')],
    ['locked', 403, anthropic('permission_error', 'Your API key does not have permission')],
    ['missing', 404, anthropic('not_found_error', 'model: claude-9')],
    ['long', 413, anthropic('request_too_large', 'Request exceeds the maximum size')],
    [
      'limited',
      429,
      anthropic('rate_limit_error', "This request would exceed your organization's rate limit"),
      { 'retry-after': '12' },
      12_000,
    ],
    ['quota', 429, anthropic('rate_limit_error', 'Extra usage is required for long context requests.')],
    ['down', 500, anthropic('api_error', 'Internal server error')],
    ['down', 504, anthropic('timeout_error', 'The request timed out')],
    ['down', 529, anthropic('overloaded_error', 'Overloaded')],
  ],
  Google: [
    ['invalid', 400, google(400, 'INVALID_ARGUMENT', 'Invalid value at contents')],
    ['locked', 400, google(400, 'INVALID_ARGUMENT', 'Not good.', [reason('API_KEY_INVALID')])],
    ['quota', 400, google(400, 'FAILED_PRECONDITION', 'Please enable billing on your project in Google AI Studio.')],
    ['long', 400, google(400, 'INVALID_ARGUMENT', 'The input token count (9) exceeds the maximum number of tokens.')],
    ['locked', 403, google(403, 'PERMISSION_DENIED', 'Your API key was reported as leaked.')],
    ['missing', 404, google(404, 'NOT_FOUND', 'models/gemini-9 is not found')],
    [
      'limited',
      429,
      google(
        429,
        'RESOURCE_EXHAUSTED',
        'You exceeded your current quota, please check your plan and billing details.',
        [quotas('GenerateRequestsPerMinutePerProjectPerModel-FreeTier'), wait('34.4s')],
      ),
      {},
      34_400,
    ],
    [
      'quota',
      429,
      google(429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota.', [
        quotas('GenerateRequestsPerDayPerProjectPerModel-FreeTier'),
        wait('34s'),
      ]),
    ],
    [
      'quota',
      429,
      google(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded for metric: x, limit: 0, model: gemini-9', [wait('9s')]),
    ],
    ['limited', 429, google(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded. Please retry in 20.04466179s.'), {}, 20_045],
    [
      'limited',
      429,
      { error: { code: 429, message: JSON.stringify(google(429, 'RESOURCE_EXHAUSTED', 'x', [wait('2s')])) } },
      {},
      2_000,
    ],
    ['down', 500, google(500, 'INTERNAL', 'An internal error has occurred')],
    ['down', 503, google(503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.')],
    ['down', 504, google(504, 'DEADLINE_EXCEEDED', 'The request timed out.')],
  ],
  Mistral: [
    ['locked', 401, { message: 'Unauthorized', request_id: 'x' }],
    ['locked', 401, { detail: 'Unauthorized' }],
    ['limited', 429, mistral('Rate limit exceeded', 'rate_limited', '1300')],
    ['limited', 429, { message: 'Requests rate limit exceeded' }],
    ['limited', 429, mistral('Service tier capacity exceeded for this model.', 'invalid_request_error')],
    ['down', 503, mistral('Service tier capacity exceeded for this model.', 'service_tier_capacity_exceeded', '3505')],
    [
      'invalid',
      422,
      mistral({ detail: [{ type: 'x', msg: 'Extra inputs are not permitted' }] }, 'invalid_request_error'),
    ],
    ['invalid', 400, mistral('Invalid model: mistral-9', 'invalid_model', '1500')],
    [
      'long',
      400,
      mistral(
        'Prompt contains 40000 tokens, too large for model with 32768 maximum context length',
        'invalid_request_error',
      ),
    ],
  ],
  Groq: [
    [
      'limited',
      429,
      openAi(
        'Rate limit reached on tokens per day (TPD): Limit 100. Please try again in 7m35.5s.',
        'tokens',
        'rate_limit_exceeded',
      ),
      {},
      455_500,
    ],
    [
      'limited',
      429,
      openAi('Rate limit reached on requests per minute', 'requests', 'rate_limit_exceeded'),
      { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '2m59.56s' },
      179_560,
    ],
    [
      'quota',
      413,
      openAi('Request too large for model `x` on tokens per minute (TPM)', 'tokens', 'rate_limit_exceeded'),
    ],
    ['down', 498, openAi('Flex tier capacity exceeded', 'capacity_exceeded', 'capacity_exceeded')],
    [
      'down',
      400,
      openAi('Failed to call a function. Please adjust your prompt.', 'invalid_request_error', 'tool_use_failed'),
    ],
    [
      'long',
      400,
      openAi('Please reduce the length of the messages.', 'invalid_request_error', 'context_length_exceeded'),
    ],
    ['locked', 401, openAi('Invalid API Key', 'invalid_request_error', 'invalid_api_key')],
    ['invalid', 422, openAi('Semantic errors', 'invalid_request_error')],
  ],
  DeepSeek: [
    ['invalid', 400, openAi('Invalid Format', 'invalid_request_error', 'invalid_request_error')],
    ['content', 400, openAi('Content Exists Risk', 'invalid_request_error', 'invalid_request_error')],
    ['locked', 401, openAi('Authentication Fails, Your api key: ****5678 is invalid', 'authentication_error')],
    ['quota', 402, openAi('Insufficient Balance', 'unknown_error', 'invalid_request_error')],
    ['invalid', 422, openAi('Invalid Parameters', 'invalid_request_error')],
    ['limited', 429, openAi('Rate Limit Reached', 'rate_limit_error')],
    ['down', 503, openAi('Server Overloaded', 'server_error')],
  ],
  xAI: [
    ['locked', 400, { code: 'Client specified an invalid argument', error: 'Incorrect API key provided: xa***34.' }],
    ['locked', 403, { code: 'permission-denied', error: 'Access to the chat endpoint is denied.' }],
    [
      'quota',
      403,
      { code: 'permission-denied', error: "Your newly created team doesn't have any credits or licenses yet." },
    ],
    ['quota', 403, { code: 'x', error: 'You have run out of credits or need a Grok subscription.' }],
    ['content', 403, { code: 'permission-denied', error: 'Content violates usage guidelines. Failed check: SAFETY' }],
    [
      'quota',
      429,
      { code: 'Some resource has been exhausted', error: 'Your team has used all available credits' },
      { 'retry-after': '3' },
    ],
    [
      'limited',
      429,
      { code: 'Some resource has been exhausted', error: 'Too many requests' },
      { 'retry-after': '3' },
      3_000,
    ],
    [
      'long',
      400,
      { code: 'x', error: "This model's maximum prompt length is 131072 but the request contains 537812 tokens." },
    ],
    ['missing', 404, { code: 'Some requested entity was not found', error: 'The model grok-9 does not exist' }],
  ],
  'Amazon Bedrock': [
    ['limited', 429, { message: 'Too many tokens, please wait before trying again.' }, aws('ThrottlingException')],
    [
      'quota',
      429,
      { message: 'Too many tokens per day, please wait before trying again.' },
      aws('ThrottlingException'),
    ],
    ['limited', 429, { message: 'The model is not ready' }, aws('ModelNotReadyException')],
    ['quota', 400, { message: 'You have exceeded a quota' }, aws('ServiceQuotaExceededException')],
    ['locked', 403, { message: "You don't have access to the model." }, aws('AccessDeniedException')],
    [
      'locked',
      403,
      { message: 'The security token included in the request is invalid.' },
      aws('UnrecognizedClientException'),
    ],
    ['locked', 400, { message: 'The security token included in the request is expired' }, aws('ExpiredTokenException')],
    ['missing', 404, { message: 'Could not resolve the model' }, aws('ResourceNotFoundException')],
    ['down', 408, { message: 'The model timed out' }, aws('ModelTimeoutException')],
    ['down', 424, { message: 'The model failed' }, aws('ModelErrorException')],
    ['down', 500, { message: 'x' }, aws('InternalServerException')],
    ['down', 503, { message: 'x' }, aws('ServiceUnavailableException')],
    ['long', 400, { message: 'Input is too long for requested model.' }, aws('ValidationException')],
    [
      'invalid',
      400,
      { message: 'The maximum tokens you requested exceeds the model limit of 4096' },
      aws('ValidationException'),
    ],
  ],
  Azure: [
    [
      'limited',
      429,
      { error: { code: '429', message: 'Exceeded the call rate limit. Please retry after 6 seconds.' } },
      {},
      6_000,
    ],
    [
      'limited',
      429,
      { error: { code: 'NoCapacity', message: 'x' } },
      { 'retry-after-ms': '750', 'retry-after': '1' },
      750,
    ],
    ['locked', 401, { error: { code: '401', message: 'Access denied due to invalid subscription key.' } }],
    ['missing', 404, { error: { code: 'DeploymentNotFound', message: 'The API deployment does not exist.' } }],
    [
      'content',
      400,
      {
        error: {
          code: 'content_filter',
          message: "The response was filtered by Azure OpenAI's content management policy.",
          innererror: { code: 'ResponsibleAIPolicyViolation' },
        },
      },
    ],
  ],
  'servers of one’s own': [
    [
      'long',
      400,
      {
        object: 'error',
        message: "This model's maximum context length is 8192 tokens.",
        type: 'BadRequestError',
        code: 400,
      },
    ],
    ['missing', 404, { error: { message: "model 'qwen9' not found", type: 'not_found_error' } }],
    ['down', 503, { error: 'Loading model' }],
    ['down', 502, '<html>Bad gateway</html>'],
    ['limited', 429, {}, { 'ratelimit-remaining': '0', 'ratelimit-reset': '30' }, 30_000],
    [
      'content',
      403,
      { error: { code: 403, message: 'Input was flagged by moderation', metadata: { reasons: ['x'] } } },
    ],
    [
      'long',
      400,
      { error: { message: 'the request exceeds the available context size', type: 'exceed_context_size_error' } },
    ],
  ],
};
