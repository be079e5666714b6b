// Goal: a model policy says what is meant or is refused with what to change, and releases that use nothing new keep their ids.
// Method: tables of policies, of wires with schemas, and the id of a release as an earlier build has stored it.
import assert from 'node:assert/strict';
import { z } from 'zod';
import { enforcesSchema, parametersOf, settingOptions } from '../../../src/activities/model/call-settings.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import { isClosed, sentSchema } from '../../../src/activities/model/output-schema.ts';
import { whyNext } from '../../../src/activities/model/routing/along-routes.ts';
import { buildRelease } from '../../../src/activities/release/agent-release.ts';
import { describeOutput } from '../../../src/authoring/agent-output.ts';
import {
  chainOf,
  type ModelChoice,
  type ModelPolicy,
  modelsPerAttempt,
  tierOf,
} from '../../../src/domain/model/model-policy.ts';
import { policyProblem } from '../../../src/domain/model/policy-problem.ts';
import { releaseId } from '../../../src/domain/release/release.ts';
import { LIMITS } from '../../../src/domain/run/limits.ts';
import type { Failure } from '../../../src/activities/failures.ts';
import { testAgent } from '../../support/workflow/test-agent.ts';

const choice = (rest: Partial<ModelChoice> = {}): ModelChoice => ({
  id: 'openai:gpt-5-mini',
  outputTokensMax: 100,
  contextTokensMax: 1_000,
  ...rest,
});

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  [
    'a tier that is none',
    { standard: choice(), huge: choice() },
    /^models\.huge is no tier: the tiers are small, standard, strong/,
  ],
  [
    'the use of a tier without a choice',
    { standard: choice(), use: 'strong' },
    /^models\.use is "strong", for which models has no choice/,
  ],
  [
    'an id without a provider',
    { standard: choice({ id: 'gpt-5-mini' }) },
    /^models\.standard\.id must be provider:model/,
  ],
  [
    'a temperature above 2',
    { standard: choice({ temperature: 3 }) },
    /^models\.standard\.temperature must be a number from 0 to 2, got 3$/,
  ],
  ['a topP of nothing', { standard: choice({ topP: 0 }) }, /^models\.standard\.topP must be above 0/],
  [
    'a topK that is no whole number',
    { standard: choice({ topK: 1.5 }) },
    /^models\.standard\.topK must be a whole number from 1/,
  ],
  ['a seed below 0', { standard: choice({ seed: -1 }) }, /^models\.standard\.seed/],
  ['a penalty above 2', { standard: choice({ presencePenalty: 2.5 }) }, /^models\.standard\.presencePenalty/],
  [
    'no stop sequence in a list',
    { standard: choice({ stopSequences: [] }) },
    /^models\.standard\.stopSequences must be 1 to 16/,
  ],
  [
    'an effort that is none',
    { standard: choice({ reasoning: 'huge' as 'high' }) },
    /^models\.standard\.reasoning must be one of none, minimal/,
  ],
  [
    'a function among provider options',
    { standard: choice({ providerOptions: { openai: { f: (() => 1) as never } } }) },
    /plain JSON/,
  ],
  [
    'options of no provider',
    { standard: choice({ providerOptions: { serviceTier: 'flex' } as never }) },
    /one object per provider/,
  ],
  ['no models', undefined, /^models must name a model for each tier/],
  ['no standard model', { small: choice() }, /^models\.standard must be there/],
  [
    'a member that a choice does not have',
    { standard: { ...choice(), temprature: 0.2 } },
    /^models\.standard\.temprature is nothing that a model can be given; there are id, outputTokensMax, /,
  ],
  [
    'a bound under another name',
    { standard: { id: 'a:b', contextTokensMax: 1_000, maxOutputTokens: 100 } },
    /^models\.standard\.maxOutputTokens is nothing/,
  ],
  [
    'a model without a bound of its reply',
    { standard: { id: 'a:b', contextTokensMax: 1_000 } },
    /^models\.standard\.outputTokensMax must be there/,
  ],
  [
    'a model without a bound of its context',
    { standard: choice(), strong: { id: 'a:b', outputTokensMax: 100 } },
    /^models\.strong\.contextTokensMax must be there/,
  ],
  [
    'a fallback that is only a name',
    { standard: { ...choice(), fallbacks: ['a:b'] } },
    /^models\.standard\.fallbacks\[0\] must be a model/,
  ],
  ['fallbacks that are no list', { standard: { ...choice(), fallbacks: choice() } }, /fallbacks must be a list/],
  ['a model that is only a name', { standard: 'openai:gpt-5-mini' }, /^models\.standard must be a model/],
  ['no room for a reply', { standard: choice({ outputTokensMax: 0 }) }, /^models\.standard\.outputTokensMax/],
  [
    'a model that stands in for itself',
    { standard: { ...choice(), fallbacks: [choice()] } },
    /^models\.standard names openai:gpt-5-mini twice/,
  ],
  [
    'fallbacks of fallbacks',
    { standard: { ...choice(), fallbacks: [{ ...choice({ id: 'a:b' }), fallbacks: [] }] } },
    /one list, in order/,
  ],
  [
    'six fallbacks',
    { standard: { ...choice(), fallbacks: [1, 2, 3, 4, 5, 6].map((n) => choice({ id: `a:${n}` })) } },
    /at most 5/,
  ],
  [
    'a mistake in a fallback',
    { standard: choice(), small: { ...choice(), fallbacks: [choice({ id: 'a:b', topK: 0 })] } },
    /^models\.small\.fallbacks\[0\]\.topK/,
  ],
];

describe('a model policy', () => {
  for (const [title, policy, problem] of refused) {
    it(`refuses ${title}`, () => assert.match(policyProblem(policy as ModelPolicy) ?? '', problem));
  }

  it('takes all that a choice can say', () => {
    const full = choice({
      temperature: 0.2,
      topP: 0.9,
      topK: 40,
      seed: 7,
      presencePenalty: -1,
      frequencyPenalty: 1,
      stopSequences: ['END'],
      reasoning: 'low',
      providerOptions: { openai: { serviceTier: 'flex' } },
    });
    const policy: ModelPolicy = {
      standard: { ...full, fallbacks: [choice({ id: 'anthropic:claude' })] },
      strong: full,
      use: 'strong',
    };
    assert.equal(policyProblem(policy), null);
    assert.throws(
      () => testAgent('bad', { models: { standard: choice({ topK: 0 }) } }),
      /defineAgent\("bad"\): models\.standard\.topK/,
    );
    const { temperature: _, ...others } = parametersOf(full) as ModelChoice;
    assert.deepEqual(Object.keys(others).toSorted(), [
      'frequencyPenalty',
      'presencePenalty',
      'providerOptions',
      'reasoning',
      'seed',
      'stopSequences',
      'topK',
      'topP',
    ]);
  });

  it('says how many models one attempt may ask', () => {
    const backed = { ...choice(), fallbacks: [choice({ id: 'a:b' }), choice({ id: 'a:c' })] };
    const policies: readonly ModelPolicy[] = [
      { standard: choice() },
      { standard: backed },
      { standard: choice(), small: choice() },
      { standard: choice(), strong: backed },
    ];
    assert.deepEqual(policies.map(modelsPerAttempt), [1, 3, 2, 4]);
  });

  it('answers with the tier that is asked for, used, or standard', () => {
    const policy: ModelPolicy = { standard: choice(), strong: choice({ id: 'a:strong' }), use: 'strong' };
    assert.deepEqual(
      [tierOf(policy, undefined), tierOf(policy, 'standard'), tierOf(policy, 'small')],
      ['strong', 'standard', 'standard'],
    );
    const { use: _, ...plain } = policy;
    assert.equal(tierOf(plain, undefined), 'standard');
    const chain = chainOf({ standard: { ...choice(), fallbacks: [choice({ id: 'a:b' })] } }, 'small');
    assert.deepEqual(
      chain.map(({ choice: { id }, isHome }) => [id, isHome]),
      [
        ['openai:gpt-5-mini', true],
        ['a:b', false],
      ],
    );
    assert.ok(!('fallbacks' in (chain[0]?.choice ?? {})));
  });

  it('leaves the id of a release as it was where nothing new is used', () => {
    const release = buildRelease(
      testAgent('plain', { models: { standard: choice({ temperature: 0.5 }), small: choice() } }),
      (id) => id,
    );
    assert.deepEqual(Object.keys(release).toSorted(), [
      'agent',
      'approvals',
      'guardrails',
      'instructions',
      'limits',
      'models',
      'reflection',
      'tools',
    ]);
    // What the build before fallbacks, parameters and outputs gave for this very agent.
    assert.equal(releaseId(release), STORED);
    const changed = buildRelease(
      testAgent('plain', {
        models: { standard: { ...choice({ temperature: 0.5 }), fallbacks: [choice({ id: 'a:b' })] }, small: choice() },
      }),
      (id) => id,
    );
    assert.notEqual(releaseId(changed), STORED);
  });
});

const STORED = '3394IIobqzU4dh5oMBCaU_';

describe('settings of a call', () => {
  const Closed = describeOutput(z.strictObject({ a: z.number() }));
  const Open = describeOutput(z.object({ a: z.number().optional() }));

  it('are sent as the AI SDK has them', () => {
    const parameters = parametersOf(
      choice({
        topP: 0.5,
        stopSequences: ['x'],
        reasoning: 'high',
        providerOptions: { openai: { serviceTier: 'flex' } },
      }),
    );
    const target = { id: 'openai:m', wire: 'openai-chat', sdkProvider: 'openai.chat', hasTools: true } as const;
    assert.deepEqual(settingOptions({ parameters, output: Open }, target), {
      topP: 0.5,
      stopSequences: ['x'],
      reasoning: 'high',
      responseFormat: { type: 'json', name: 'answer', schema: Open.schema },
      providerOptions: { openai: { strictJsonSchema: false, serviceTier: 'flex' } },
    });
    assert.equal('providerOptions' in settingOptions({ output: Closed }, target), false);
  });

  const wires = [
    ['openai:m', 'openai-chat', true, true],
    ['openai-responses:m', 'openai-responses', true, true],
    ['anthropic:m', 'anthropic', true, true],
    ['google:m', 'google', true, true],
    ['bedrock:m', 'bedrock', true, true],
    ['groq:m', 'openai-chat', true, true],
    ['mistral:m', 'mistral', true, false],
    ['mistral:m', 'mistral', false, true],
    ['openai-compatible:m', 'openai-chat', true, false],
    ['openai-compatible:m', 'openai-chat', false, false],
    ['rehearsal:m', 'simulated', false, false],
  ] as const;
  for (const [id, wire, hasTools, isSent] of wires) {
    it(`${isSent ? 'send' : 'do not send'} a schema to ${id} ${hasTools ? 'with' : 'without'} tools`, () => {
      assert.equal(enforcesSchema({ id, wire, hasTools }), isSent);
    });
  }

  it('enforce a schema strictly where every object is closed', () => {
    assert.deepEqual([isClosed(Closed.schema), isClosed(Open.schema)], [true, false]);
    assert.equal(isClosed(describeOutput(z.strictObject({ a: z.array(z.object({})) })).schema), false);
  });

  const schemas: readonly (readonly [string, z.ZodType, boolean | null])[] = [
    ['dates and numbers', z.strictObject({ at: z.iso.date(), n: z.int().max(9), mail: z.email() }), true],
    ['a union', z.strictObject({ a: z.union([z.string(), z.null()]) }), true],
    [
      'objects of several kinds',
      z.strictObject({
        a: z.discriminatedUnion('k', [z.strictObject({ k: z.literal('a') }), z.strictObject({ k: z.literal('b') })]),
      }),
      false,
    ],
    ['an address of the web', z.strictObject({ a: z.url() }), false],
    ['a pair', z.strictObject({ a: z.tuple([z.string(), z.number()]) }), false],
    ['any keys', z.strictObject({ a: z.record(z.string(), z.number()) }), false],
    ['anything', z.strictObject({ a: z.unknown() }), false],
    ['a list of anything', z.strictObject({ a: z.array(z.any()) }), false],
    ['a usual value', z.strictObject({ a: z.string().default('x') }), false],
    ['a list', z.array(z.string()), null],
    ['a word', z.enum(['a', 'b']), null],
    [
      'objects of several kinds at the top',
      z.discriminatedUnion('k', [z.strictObject({ k: z.literal('a') }), z.strictObject({ k: z.literal('b') })]),
      null,
    ],
  ];
  for (const [title, schema, isStrict] of schemas) {
    it(`${isStrict === null ? 'send no schema of' : isStrict ? 'enforce' : 'only ask for'} ${title}`, () =>
      assert.equal(sentSchema(describeOutput(schema).schema)?.isStrict ?? null, isStrict));
  }

  it('only ask for an object that may be null and is open', () => {
    const open = { type: ['object', 'null'], properties: { x: { type: 'string' } }, required: ['x'] };
    assert.equal(sentSchema(holding(open))?.isStrict, false);
    assert.equal(sentSchema(holding({ ...open, additionalProperties: false }))?.isStrict, true);
  });

  it('send no pattern that looks ahead, and every other', () => {
    const { schema } = describeOutput(
      z.strictObject({ pattern: z.string().regex(/^(?!x)/), b: z.string().regex(/^(?:y)$/) }),
    );
    assert.deepEqual(sentSchema(schema)?.schema['properties'], {
      pattern: { type: 'string' },
      b: { type: 'string', pattern: '^(?:y)$' },
    });
  });
});

const holding = (a: JsonObject): JsonObject => ({
  type: 'object',
  properties: { a },
  required: ['a'],
  additionalProperties: false,
});

const failure = (rest: Partial<Failure>): Failure => ({
  cause: 'model-error',
  disposition: 'transient',
  message: '',
  sent: 'no',
  ...rest,
});

describe('why another model is asked', () => {
  const cases: readonly (readonly [string, Partial<Failure>, string | null, 'stand-in'?])[] = [
    ['a failure of the provider', {}, null],
    ['trouble of our own that a person mends', { cause: 'infra', disposition: 'mendable' }, null],
    ['a refused key', { cause: 'model-authentication', disposition: 'mendable' }, 'authentication'],
    ['an empty account', { cause: 'model-quota', disposition: 'mendable' }, 'quota'],
    ['a certificate that is refused', { disposition: 'mendable' }, 'unavailable'],
    ['a model that is not there', { disposition: 'mendable', isNotFound: true }, 'not-found'],
    ['a short limit of the rate', { cause: 'model-rate-limited', retryAfterMs: 60_000 }, null],
    ['a long limit of the rate', { cause: 'model-rate-limited', retryAfterMs: 60_001 }, 'rate-limited'],
    ['refused content', { cause: 'guardrail-block', disposition: 'final' }, null],
    ['a refused request', { cause: 'validation', disposition: 'final' }, null],
    ['a request that a stand-in refuses', { cause: 'validation', disposition: 'final' }, 'refused', 'stand-in'],
    ['content that a stand-in refuses', { cause: 'guardrail-block', disposition: 'final' }, null, 'stand-in'],
    ['a reply that was cut', { disposition: 'final', sent: 'maybe', mend: 'Raise outputTokensMax.' }, null],
  ];
  for (const [title, given, why, standIn] of cases) {
    it(`${title}: ${why ?? 'none is'}`, () =>
      assert.equal(whyNext(failure(given), standIn === undefined, LIMITS.retryMs), why));
  }

  it('what heals by itself, once the run would be blocked: failed, rate-limited', () => {
    assert.equal(whyNext(failure({}), true, 1), null);
    assert.equal(whyNext(failure({}), true, 0), 'failed');
    const limited = failure({ cause: 'model-rate-limited', retryAfterMs: 3_000 });
    assert.deepEqual([whyNext(limited, true, 3_000), whyNext(limited, true, 2_999)], [null, 'rate-limited']);
  });
});
