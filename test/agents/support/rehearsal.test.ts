/**
 * Goal: the rehearsal behaves like a careful model in every turn: looks up first, writes once, repeats nothing, tells failures.
 * Method: a table of transcripts, each with the one reply that must follow; no tools run.
 */
import assert from 'node:assert/strict';
import { rehearsal } from '../../../agents/support/rehearsal.ts';
import { readText } from '../../../agents/support/rehearsal/read-text.ts';
import type { RehearsalReply, RehearsalView } from '../../../src/authoring/index.ts';

type Part = RehearsalView['parts'][number];
type Json = Extract<Part, { kind: 'tool-result' }>['output'];

const EMAIL = 'maria.silva@example.com';
const ORDER = {
  orderId: 'A-1012',
  status: 'delivered',
  placedOn: '2026-04-28',
  deliveredOn: '2026-05-26',
  customerName: 'Maria Silva',
  customerEmail: EMAIL,
  items: [{ name: 'Hand-Painted Teapot', quantity: 1 }],
  totalUsd: '42.50',
  refundedUsd: '0.00',
  refundableUsd: '42.50',
  carrier: 'DHL',
  tracking: 'DHL-7100012',
};
const REFUND = {
  refundId: 'R-5001',
  orderId: 'A-1012',
  amountUsd: '42.50',
  refundedUsd: '42.50',
  refundableUsd: '0.00',
};

const user = (text: string): Part[] => [{ kind: 'user-text', text }];
const guidance = (text: string): Part[] => [{ kind: 'guidance', text }];
const answer = (text: string): Part[] => [{ kind: 'assistant-text', text }];
let calls = 0;
const called = (toolName: string, input: Json, output: Json, isError = false): Part[] => {
  const toolCallId = `call-${(calls += 1)}`;
  return [
    { kind: 'tool-call', toolCallId, toolName, input },
    { kind: 'tool-result', toolCallId, toolName, isError, output },
  ];
};
const looked = (order: Json = ORDER): Part[] => [
  ...called(
    'findCustomer',
    { email: EMAIL },
    { customers: [{ customerId: 'C-1001', name: 'Maria Silva', email: EMAIL }] },
  ),
  ...called('lookupOrder', { orderId: 'A-1012' }, order),
];
const refundInput = { orderId: 'A-1012', amountUsd: 42.5, reason: 'arrived damaged' };
const ASK = `My teapot of A-1012 is broken, refund it. ${EMAIL}`;

/** A reply in short: the tools that are called with their input, or the text. */
const reply = (parts: readonly Part[], tools: readonly string[] = ['askPerson']): readonly unknown[] | string => {
  const given: RehearsalReply = rehearsal({ parts, tools });
  return given.toolCalls?.map((call) => [call.tool, call.input]) ?? given.text ?? '';
};

describe('rehearsal of the support agent', () => {
  const table: readonly (readonly [what: string, parts: readonly Part[], expected: readonly unknown[] | RegExp])[] = [
    [
      'looks customer and order up in one reply',
      user(ASK),
      [
        ['findCustomer', { email: EMAIL }],
        ['lookupOrder', { orderId: 'A-1012' }],
      ],
    ],
    ['refunds what can be refunded', [...user(ASK), ...looked()], [['refundOrder', refundInput]]],
    [
      'tells the refund from the result',
      [...user(ASK), ...looked(), ...called('refundOrder', refundInput, REFUND)],
      /^I refunded 42\.50 USD for order A-1012; the refund id is R-5001\.$/,
    ],
    [
      'explains a refusal and does not try again',
      [...user(ASK), ...looked(), ...called('refundOrder', refundInput, 'At most 5.00 USD can be refunded.', true)],
      /was not made: At most 5\.00 USD/,
    ],
    [
      'explains a rejection with the reason of the person',
      [
        ...user(ASK),
        ...looked(),
        ...called('refundOrder', refundInput, { kind: 'rejected', reason: 'no photo' }, true),
      ],
      /was not made: no photo$/,
    ],
    [
      'takes up what a person says after a rejection',
      [
        ...user(ASK),
        ...looked(),
        ...called('refundOrder', refundInput, { reason: 'too much' }, true),
        ...guidance('Offer 20 USD instead'),
      ],
      [['refundOrder', { ...refundInput, amountUsd: 20 }]],
    ],
    [
      'does not refund again when a check sends the answer back',
      [
        ...user(ASK),
        ...looked(),
        ...called('refundOrder', refundInput, REFUND),
        ...answer('I refunded 45.00 USD.'),
        ...guidance('The refund of 45.00 USD stands in no source. Correct the answer.'),
      ],
      /^I refunded 42\.50 USD/,
    ],
    [
      'does not refund again when the customer writes in the middle of the work',
      [...user(ASK), ...looked(), ...called('refundOrder', refundInput, REFUND), ...user('Please refund it quickly')],
      /^I refunded 42\.50 USD/,
    ],
    [
      'looks up again for a new wish after an answer',
      [
        ...user(ASK),
        ...looked(),
        ...called('refundOrder', refundInput, REFUND),
        ...answer('Done.'),
        ...user('Refund it again'),
      ],
      [
        ['findCustomer', { email: EMAIL }],
        ['lookupOrder', { orderId: 'A-1012' }],
      ],
    ],
    [
      'finds that nothing is left then',
      [
        ...user(ASK),
        ...answer('Done.'),
        ...user('Refund it again'),
        ...looked({ ...ORDER, refundedUsd: '42.50', refundableUsd: '0.00' }),
      ],
      /already refunded in full: 42\.50 USD/,
    ],
    [
      'accepts arguments with defaults added',
      [
        ...user(`List my orders, ${EMAIL}`),
        ...called('findCustomer', { email: EMAIL }, { customers: [{ customerId: 'C-1001' }] }),
        ...called(
          'listOrders',
          { customerId: 'C-1001', limit: 5 },
          { orders: [{ orderId: 'A-1012', status: 'delivered', totalUsd: '42.50' }] },
        ),
      ],
      /^Your latest orders: A-1012 \(delivered, 42\.50 USD\)\.$/,
    ],
    [
      'tells that a look-up failed',
      [
        ...user(`Where is A-1012? I am Maria Silva`),
        ...called('lookupOrder', { orderId: 'A-1012' }, { message: 'The database cannot be reached.' }, true),
      ],
      /^I could not look up order A-1012: The database cannot be reached\.$/,
    ],
    [
      'asks a person who gave no name',
      [...user('Refund A-1012'), ...called('lookupOrder', { orderId: 'A-1012' }, ORDER)],
      [['askPerson', { question: 'Which e-mail address was order A-1012 placed with?' }]],
    ],
    [
      'goes on with the answer, without a second look-up of the order',
      [
        ...user('Refund A-1012'),
        ...called('lookupOrder', { orderId: 'A-1012' }, ORDER),
        ...called('askPerson', { question: 'Which e-mail address was order A-1012 placed with?' }, EMAIL),
      ],
      [['findCustomer', { email: EMAIL }]],
    ],
    [
      'does not ask the same question twice',
      [
        ...user('Refund A-1012'),
        ...called('lookupOrder', { orderId: 'A-1012' }, ORDER),
        ...called('askPerson', { question: 'Which e-mail address was order A-1012 placed with?' }, 'I forgot'),
      ],
      /cannot go on without that/,
    ],
    [
      'stops when the person does not answer',
      [
        ...user('Refund A-1012'),
        ...called('lookupOrder', { orderId: 'A-1012' }, ORDER),
        ...called('askPerson', { question: 'Which e-mail address was order A-1012 placed with?' }, 'expired', true),
      ],
      /got no answer/,
    ],
    ['thanks back', [...user(ASK), ...answer('I refunded 42.50 USD.'), ...user('Thank you!')], /^You are welcome/],
    [
      'takes no for an answer',
      [...user('My order A-1012 is broken'), ...answer('Shall I refund it?'), ...user('No')],
      /leave it/,
    ],
    [
      'takes a bare order id as a question about it',
      [...user(ASK), ...answer('Done.'), ...user('And A-1101?')],
      [
        ['findCustomer', { email: EMAIL }],
        ['lookupOrder', { orderId: 'A-1101' }],
      ],
    ],
    [
      'starts from guidance where nobody else spoke',
      guidance('Refund A-1012'),
      [['lookupOrder', { orderId: 'A-1012' }]],
    ],
  ];

  for (const [what, parts, expected] of table) {
    it(what, () => {
      const given = reply(parts);
      if (expected instanceof RegExp) assert.match(String(given), expected);
      else assert.deepEqual(given, expected);
    });
  }

  it('asks in text where the agent has no askPerson', () => {
    const parts = [...user('Refund A-1012'), ...called('lookupOrder', { orderId: 'A-1012' }, ORDER)];
    assert.match(String(reply(parts, [])), /Which e-mail address was order A-1012 placed with\?$/);
    assert.deepEqual(reply([...parts, ...answer('Which e-mail address?'), ...user(EMAIL)], []), [
      ['findCustomer', { email: EMAIL }],
      ['lookupOrder', { orderId: 'A-1012' }],
    ]);
  });

  it('is a pure function: the same transcript gives the same reply', () => {
    const parts = Object.freeze([...user(ASK), ...looked()]);
    assert.deepEqual(reply(parts), reply(parts));
  });
});

describe('readText', () => {
  const wishes: readonly (readonly [text: string, intents: readonly string[]])[] = [
    ['I want my money back', ['refund']],
    ['I would like to return the lamp', ['refund']],
    ['Cancel it and refund me', ['refund', 'cancel']],
    ['I do not want a refund, where is my parcel?', ['status']],
    ['When was my refund made?', ['status']],
    ['Has A-1012 been shipped?', ['status']],
    ['Please change the delivery address', ['change-address']],
    ['What are my latest orders?', ['orders']],
    ['Do you sell umbrellas?', ['product']],
    ['It arrived damaged', ['complaint']],
    ['Good morning', ['greeting']],
    ['asdf', []],
  ];
  for (const [text, intents] of wishes) {
    it(`reads “${text}”`, () => assert.deepEqual([...readText(text).intents], intents));
  }

  it('reads ids, amounts, names and addresses', () => {
    const text =
      'I am Ana Costa-Lima. Refund $12.50 of a1012 and A-1044; send it to Lindenstrasse 8, 10969 Berlin, Germany please.';
    const { orderIds, amountUsd, name, address } = readText(text);
    assert.deepEqual([orderIds, amountUsd, name], [['A-1012', 'A-1044'], 12.5, 'Ana Costa-Lima']);
    assert.deepEqual(address, { street: 'Lindenstrasse 8', postalCode: '10969', city: 'Berlin', country: 'Germany' });
  });
});
