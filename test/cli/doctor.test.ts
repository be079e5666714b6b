// Goal: the doctor finds what is wrong, says what to do, and ends with 1 only when something cannot work.
// Method: real servers in good and in bad order, folders where nothing runs, and the judgements by tables.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { examineNode, judgeDisk } from '../../src/cli/doctor/examine-machine.ts';
import { judgeBudgets, judgeHeld, judgeRates } from '../../src/cli/doctor/examine-money.ts';
import { judgeRuns } from '../../src/cli/doctor/examine-runs.ts';
import { judgePartitions, judgeSchema, ownMigrations } from '../../src/cli/doctor/examine-postgres.ts';
import { judgeAttributes } from '../../src/cli/doctor/examine-temporal.ts';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { createDatabase } from '../../src/cli/dev-stack/postgres-client.ts';
import { requiredSearchAttributes } from '../../src/cli/dev-stack/register-search-attributes.ts';
import { stalePrices } from '../../src/runtime/price-book.ts';
import { openDatabase } from '../../src/stores/database.ts';
import { migrate } from '../../src/stores/migrate.ts';
import { startTestServers, testFolder, type TestServers } from '../support/servers.ts';
import { ROOT } from '../tidy/repository.ts';
import { capturedCli } from './captured-cli.ts';

const agents = { PERDURE_AGENTS_DIR: join(ROOT, 'agents'), PATH: process.env['PATH'], HOME: process.env['HOME'] };

describe('perdure doctor', function () {
  this.timeout(60_000);
  let servers: TestServers;
  let cwd: string;
  let good: NodeJS.ProcessEnv;

  before(async () => {
    servers = await startTestServers();
    cwd = await testFolder();
    const DATABASE_URL = await newDatabase('doctor_good');
    const db = openDatabase(DATABASE_URL, () => undefined);
    await migrate(db);
    await db.destroy();
    const { address, namespace } = servers.temporal;
    good = { ...agents, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, DATABASE_URL };
  });

  it('finds nothing to mend where everything is right', async () => {
    const env = { ...good, OPENAI_API_KEY: 'not-shown' };
    const { exitCode, said, findings } = await doctor(env);
    assert.deepEqual(
      findings.filter(({ status, subject }) => status !== 'ok' && subject !== 'prices'),
      [],
    );
    // The table that is checked in grows old, which no one mends on this machine.
    const warnings = stalePrices(Date.now()) === null ? '0 warnings' : '1 warning';
    assert.deepEqual([exitCode, said], [0, `0 failures, ${warnings}`]);
    const messages = Object.fromEntries(findings.map(({ subject, message }) => [subject, message]));
    assert.match(messages['temporal'] ?? '', /^server \d+\.\d+\.\d+ at 127\.0\.0\.1:\d+$/);
    assert.match(messages['database'] ?? '', /^PostgreSQL \d+\.\d+, doctor_good at port \d+$/);
    assert.equal(messages['schema'], `up to date (${ownMigrations().at(-1)})`);
    assert.equal(messages['partitions'], '9 weeks ahead');
    assert.deepEqual(
      ['runs', 'held money', 'budgets', 'rate limits'].map((subject) => messages[subject]),
      ['none is blocked', 'nothing is held', 'no cap above the run', 'none was asked for'],
    );
    assert.match(messages['model'] ?? '', /^openai:gpt-5-mini, key from OPENAI_API_KEY, priced by genai-prices-/);
    assert.doesNotMatch(JSON.stringify(findings), /not-shown/);
  });

  it('works where nothing runs, and says how to begin', async () => {
    const env = { ...agents, TEMPORAL_CONFIG_FILE: join(cwd, 'none.toml') };
    const { exitCode, findings } = await doctor(env);
    assert.equal(exitCode, 0);
    assert.deepEqual(mendOf(findings, 'temporal'), ['warn', 'npm start brings one']);
    assert.deepEqual(mendOf(findings, 'database'), ['warn', 'npm start brings one, or set DATABASE_URL']);
    assert.match(mendOf(findings, 'model')[1] ?? '', /^set OPENAI_API_KEY/);
  });

  it('writes a line for each finding, and below it what to do', async () => {
    const { out } = await capturedCli({ ...good, DATABASE_URL: '' }, { cwd })('doctor');
    assert.match(out, /^ok {4}node {15}24\./m);
    assert.match(
      out,
      /^warn {2}database {11}none runs for this folder\n {25}→ npm start brings one, or set DATABASE_URL$/m,
    );
  });

  it('says which servers do not answer', async () => {
    const env = { ...good, TEMPORAL_ADDRESS: '127.0.0.1:1', DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' };
    const { exitCode, findings } = await doctor(env);
    assert.equal(exitCode, 1);
    assert.match(messageOf(findings, 'temporal'), /^127\.0\.0\.1:1 does not answer/);
    assert.match(messageOf(findings, 'database'), /does not answer/);
  });

  it('misses a namespace, and search attributes in one that is there', async () => {
    const { exitCode, findings } = await doctor({ ...good, TEMPORAL_NAMESPACE: 'nowhere' });
    assert.equal(exitCode, 1);
    assert.match(mendOf(findings, 'namespace')[1] ?? '', /temporal operator namespace create --namespace nowhere$/);
    const other = await doctor({ ...good, TEMPORAL_NAMESPACE: 'temporal-system' });
    assert.match(messageOf(other.findings, 'search attributes'), /^missing: PerdureTenant, /);
    assert.match(mendOf(other.findings, 'search attributes')[1] ?? '', /--name PerdureCostUsd --type Double$/);
  });

  it('tells a database without tables from one of a newer version, and misses partitions', async () => {
    const empty = await newDatabase('doctor_empty');
    const { findings } = await doctor({ ...good, DATABASE_URL: empty });
    assert.equal(messageOf(findings, 'schema'), 'the tables are not there yet');
    assert.equal(messageOf(findings, 'partitions'), '');
    const db = openDatabase(empty, () => undefined);
    await migrate(db);
    const { rows } = await sql<{ name: string }>`
      select inhrelid::regclass::text as name from pg_inherits
       where inhparent = 'perdure.observations'::regclass order by 1`.execute(db);
    for (const { name } of rows.slice(-7)) await sql.raw(`drop table ${name}`).execute(db);
    await sql`insert into perdure.kysely_migration (name, timestamp) values ('9999-later', 'x')`.execute(db);
    await db.destroy();
    const later = await doctor({ ...good, DATABASE_URL: empty });
    assert.equal(messageOf(later.findings, 'schema'), 'made by a newer version, which also has 9999-later');
    assert.deepEqual(
      [messageOf(later.findings, 'partitions'), mendOf(later.findings, 'partitions')[0]],
      ['2 weeks ahead', 'warn'],
    );
  });

  for (const [name, more, subject, expected] of [
    ['a model without a price', { PERDURE_MODEL: 'unheard-of', OPENAI_API_KEY: 'k' }, 'model', /has no known price/],
    ['a model without a key', { PERDURE_MODEL: 'gpt-5' }, 'model', /openai:gpt-5: OPENAI_API_KEY is not set/],
    [
      'another provider without a key',
      { PERDURE_MODEL: 'anthropic:claude-haiku-4-5' },
      'model',
      /anthropic:claude-haiku-4-5: ANTHROPIC_API_KEY is not set/,
    ],
    ['a key file that is not there', { OPENAI_API_KEY_FILE: '/none' }, 'model', /the file of OPENAI_API_KEY_FILE/],
    ['a wrong address of models', { PERDURE_MODEL_BASE_URL: 'nowhere' }, 'model', /not an HTTP address/],
    ['a wrong variable', { PERDURE_ROLES: 'chef' }, 'configuration', /PERDURE_ROLES names "chef"/],
    ['wrong limits', { PERDURE_MODEL_LIMITS: '{bad' }, 'configuration', /PERDURE_MODEL_LIMITS is not JSON/],
    ['a wrong mask', { PERDURE_RECORD_MASKS: '{"c":"C-["}' }, 'configuration', /PERDURE_RECORD_MASKS must be/],
    [
      'a file of prices that is not there',
      { PERDURE_PRICES_FILE: '/none' },
      'price file',
      /^PERDURE_PRICES_FILE names "\/none", which cannot be read/,
    ],
    ['agents that are not there', { PERDURE_AGENTS_DIR: 'none' }, 'agents', /there is no folder/],
    [
      'a program of Temporal that does not run',
      { PERDURE_TEMPORAL_CLI: '/none', TEMPORAL_ADDRESS: '' },
      'temporal program',
      /^\/none does not run$/,
    ],
  ] as const) {
    it(`fails for ${name}`, async () => {
      const { exitCode, findings } = await doctor({ ...good, TEMPORAL_CONFIG_FILE: join(cwd, 'none.toml'), ...more });
      assert.match(messageOf(findings, subject), expected);
      assert.deepEqual([exitCode, mendOf(findings, subject)[0]], [1, 'fail']);
    });
  }

  it('looks at every model of an agent: without one of a tier runs cannot go on, without a fallback they can', async () => {
    const folder = join(await testFolder(), 'agents');
    mkdirSync(join(folder, 'tiers'), { recursive: true });
    writeFileSync(
      join(folder, 'tiers', 'agent.ts'),
      `import { defineAgent } from '${join(ROOT, 'src/authoring/index.ts')}';
export const agent = defineAgent({
  name: 'tiers', owner: 'tests', purpose: 'Has three models.',
  requirements: { latencyP95Ms: 10_000, costPerRunUsd: 0.05 },
  instructions: 'Answer.', tools: [],
  models: {
    standard: { ...${choice('openai:gpt-5-mini')}, fallbacks: [${choice('groq:unheard-of')}] },
    strong: ${choice('anthropic:claude-sonnet-4-5')},
  },
});
`,
    );
    const { findings } = await doctor({ ...good, OPENAI_API_KEY: 'k', GROQ_API_KEY: 'k', PERDURE_AGENTS_DIR: folder });
    const judged = findings.filter(({ subject }) => subject === 'model');
    assert.deepEqual(
      judged.map(({ status, message }) => `${status} ${message.split(/[,:]? (?:key|ANTHROPIC|has)/)[0]}`),
      ['ok openai:gpt-5-mini', 'fail anthropic:claude-sonnet-4-5', 'warn fallback groq:unheard-of'],
    );
  });

  describe('judges', () => {
    const [first = '', ...others] = Object.entries(requiredSearchAttributes());
    const attributes = Object.fromEntries(others);
    const held = {
      tenant: 'acme',
      id: 'r',
      runId: 'run',
      agent: 'a',
      turn: 1,
      state: 'held',
      model: 'openai:gpt-5',
      worstPico: 5n,
      worstTokens: 5,
      openedAt: new Date(),
      hasEnded: true,
      isUnderWay: false,
    };
    const rate = {
      credential: 'openai-1',
      subject: 'openai',
      limit: { windowMs: 60_000, requests: 2, tokens: null },
      used: { requests: 1, tokens: 0 },
      usedAt: new Date(),
      heldUntil: null,
      waiting: [],
    };
    for (const [what, finding, status] of [
      ['the Node that npm brings', examineNode('24.21.0'), 'ok'],
      ['an older Node', examineNode('22.4.0'), 'fail'],
      ['much room', judgeDisk(5 * 1024 ** 3), 'ok'],
      ['little room', judgeDisk(1024 ** 3), 'warn'],
      ['no room', judgeDisk(1024 ** 2), 'fail'],
      ['the same migrations', judgeSchema(['1', '2'], ['1', '2']), 'ok'],
      ['a migration that waits', judgeSchema(['1', '2'], ['1']), 'fail'],
      ['a later migration', judgeSchema(['1'], ['1', '2']), 'fail'],
      ['this week only', judgePartitions(100, 100), 'warn'],
      ['no week', judgePartitions(null, 100), 'fail'],
      ['nine weeks', judgePartitions(109, 100), 'ok'],
      ['no blocked run', judgeRuns([])[0], 'ok'],
      ['blocked runs', judgeRuns([{ cause: 'model-quota', runs: 2 }])[0], 'warn'],
      ['nothing held', judgeHeld([]), 'ok'],
      ['a call of unknown cost', judgeHeld([held]), 'warn'],
      ['no call that waits', judgeRates([rate])[0], 'ok'],
      ['calls that wait', judgeRates([{ ...rate, waiting: [{ tenant: 'acme', weight: 1, calls: 2 }] }])[0], 'warn'],
      ['no caps', judgeBudgets([])[0], 'ok'],
      ['a cap that is far', judgeBudgets([account(79n)])[0], 'ok'],
      ['a cap that is near', judgeBudgets([account(80n)])[0], 'warn'],
      ['a missing attribute', judgeAttributes('n', attributes), 'fail'],
      ['an attribute of another type', judgeAttributes('n', { ...attributes, [first[0] ?? '']: 'Int' }), 'fail'],
    ] as const) {
      it(`${what}: ${status}`, () => assert.equal(finding?.status, status, finding?.message));
    }
  });

  async function doctor(env: NodeJS.ProcessEnv) {
    const { exitCode, out, said } = await capturedCli(env, { cwd })('doctor', '--json');
    return { exitCode, said, findings: JSON.parse(out) as readonly Finding[] };
  }

  async function newDatabase(name: string): Promise<string> {
    await createDatabase(servers.postgres.url, name);
    return Object.assign(new URL(servers.postgres.url), { pathname: `/${name}` }).href;
  }
});

/** Writes a choice of a model as an agent's file has it. */
function choice(id: string): string {
  return `{ id: '${id}', outputTokensMax: 500, contextTokensMax: 128_000 }`;
}

/** An account with a cap of 100 pico-dollars. */
function account(spentPico: bigint) {
  return {
    tenant: 'acme',
    kind: 'tenant' as const,
    id: 'acme',
    period: 'day' as const,
    endsAt: new Date(),
    isWarned: false,
    capPico: 100n,
    capTokens: null,
    spentPico,
    spentTokens: 1n,
    heldPico: 0n,
    heldTokens: 0n,
  };
}

function messageOf(findings: readonly Finding[], subject: string): string {
  return findings.find((finding) => finding.subject === subject)?.message ?? '';
}

function mendOf(findings: readonly Finding[], subject: string): readonly [string, string | null] {
  const found = findings.find((finding) => finding.subject === subject);
  return [found?.status ?? 'missing', found?.mend ?? null];
}
