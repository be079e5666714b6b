/**
 * Goal: hashes and sizes that the core computes by itself are those that every other implementation computes.
 * Method: random values against `node:crypto`, `Buffer` and `JSON.parse`, and the published vectors of RFC 8785 and FIPS 180-4.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { canonicalJson, truncate, utf8Bytes } from '../../src/domain/json.ts';
import { base64url, contentHash, hashId, sha256 } from '../../src/domain/sha-256.ts';

/** Texts of any UTF-16 code units, lone surrogates included. */
const anyText = fc.string({ unit: fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code)), maxLength: 300 });
const wholeText = fc.string({ unit: 'binary', maxLength: 300 });
const json = fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' });

describe('canonicalJson', () => {
  it('writes the values of RFC 8785', () => {
    const example = String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`;
    const canonical = String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`;
    assert.equal(canonicalJson(JSON.parse(example)), canonical);
  });

  it('sorts keys by UTF-16 code units, as RFC 8785 section 3.2.3 does', () => {
    const keys = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
    };
    const more = { '\u{1f600}': 'Smiley', '\u0080': 'Control', '\u00f6': 'Latin Small Letter O With Diaeresis' };
    const expected = [
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Smiley',
      'Hebrew Letter Dalet With Dagesh',
    ];
    const written = [...canonicalJson({ ...keys, ...more }).matchAll(/:"([^"]*)"/g)].map(([, value]) => value);
    assert.deepEqual(written, expected);
  });

  const numbers: readonly (readonly [number, string])[] = [
    [0, '0'],
    [-0, '0'],
    [5e-324, '5e-324'],
    [-5e-324, '-5e-324'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [9007199254740992, '9007199254740992'],
    [295147905179352830000, '295147905179352830000'],
    [9.999999999999997e22, '9.999999999999997e+22'],
    [1e23, '1e+23'],
    [1.0000000000000001e23, '1.0000000000000001e+23'],
    [999999999999999700000, '999999999999999700000'],
    [1e21, '1e+21'],
    [9.999999999999997e-7, '9.999999999999997e-7'],
    [0.000001, '0.000001'],
    [333333333.3333332, '333333333.3333332'],
    [-0.0000033333333333333333, '-0.0000033333333333333333'],
    [1424953923781206.25, '1424953923781206.2'],
  ];
  for (const [number, text] of numbers) {
    it(`writes the number ${text} of RFC 8785 appendix B`, () => assert.equal(canonicalJson(number), text));
  }

  it('refuses what JSON cannot hold', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 1, Symbol('x'), undefined, { a: [1n] }]) {
      assert.throws(() => canonicalJson(value), TypeError);
    }
  });

  it('leaves out what JSON.stringify leaves out', () => {
    assert.equal(canonicalJson({ b: undefined, a: [undefined] }), JSON.stringify({ b: undefined, a: [undefined] }));
  });

  it('is read back as the same value, whatever the order of the keys', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value);
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
        assert.equal(canonicalJson(reversed(value)), text);
      }),
    );
  });
});

describe('sha256', () => {
  it('gives the digests of FIPS 180-4', () => {
    const million = 'a'.repeat(1_000_000);
    const digests: readonly (readonly [string, string])[] = [
      ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
      ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
      [
        'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
        '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
      ],
      [million, 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
    ];
    for (const [text, hex] of digests) assert.equal(Buffer.from(sha256(text)).toString('hex'), hex);
  });

  it('gives what the platform gives, across the edges of a block', () => {
    const lengths = fc.oneof(fc.nat({ max: 200 }), fc.constantFrom(54, 55, 56, 63, 64, 65, 119, 120, 127, 128));
    const texts = fc.oneof(
      wholeText,
      lengths.map((length) => 'é'.repeat(length >> 1) + 'a'.repeat(length % 2)),
    );
    fc.assert(fc.property(texts, (text) => assert.deepEqual(Buffer.from(sha256(text)), digestOf(text))));
  });

  it('is written as the platform writes base64url', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        assert.equal(base64url(bytes), Buffer.from(bytes).toString('base64url'));
      }),
    );
  });

  it('makes content hashes of the canonical JSON', () => {
    fc.assert(
      fc.property(json, (value) => {
        assert.equal(contentHash(value), digestOf(canonicalJson(value)).toString('base64url').slice(0, 22));
      }),
    );
  });

  it('makes ids of 22 letters and digits, the last 22 digits of 160 bits in base 62', () => {
    fc.assert(
      fc.property(fc.array(wholeText, { maxLength: 4 }), (texts) => {
        const id = hashId(...texts);
        assert.match(id, /^[0-9A-Za-z]{22}$/);
        const number = BigInt(`0x${digestOf(canonicalJson(texts)).subarray(0, 20).toString('hex')}`);
        assert.equal(valueOf62(id), number % 62n ** 22n);
      }),
    );
  });

  it('does not confuse texts that read the same when joined', () => {
    assert.notEqual(hashId('a', 'b'), hashId('ab'));
    assert.notEqual(hashId('a","b'), hashId('a', 'b'));
  });
});

describe('utf8Bytes', () => {
  it('counts what an encoder writes, lone surrogates included', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, wholeText), (text) => assert.equal(utf8Bytes(text), Buffer.byteLength(text))),
    );
  });
});

describe('truncate', () => {
  it('keeps the beginning, fits, marks the cut and splits no pair', () => {
    fc.assert(
      fc.property(wholeText, fc.integer({ min: 1, max: 310 }), (text, lengthMax) => {
        const cut = truncate(text, lengthMax);
        assert.ok(cut.length <= lengthMax && cut.isWellFormed());
        if (text.length <= lengthMax) return assert.equal(cut, text);
        assert.ok(cut.endsWith('…') && text.startsWith(cut.slice(0, -1)));
        assert.ok(cut.length >= lengthMax - 1, 'no more is cut than must be');
      }),
    );
  });
});

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

function valueOf62(id: string): bigint {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  return id.split('').reduce((value, digit) => value * 62n + BigInt(digits.indexOf(digit)), 0n);
}

/** The same value with the keys of every object in another order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, member]) => [key, reversed(member)]),
  );
}
