import { readFiles, readText } from './repository.ts';

/** Variables that systems set and that nobody sets for us. */
const OF_THE_SYSTEM = new Set(['HOME', 'PATH', 'USER', 'USERNAME']);

/** Files of the library that reads `TEMPORAL_…` for us. */
const ENVCONFIG = ['envconfig', 'envconfig-toml', 'utils'].map(
  (name) => `node_modules/@temporalio/envconfig/lib/${name}.js`,
);

/** Packages of OpenTelemetry that read `OTEL_…` for us. */
const OPENTELEMETRY = [
  'sdk-trace-base/build/src/config.js',
  'sdk-trace-base/build/src/BatchSpanProcessor-shim.js',
  'resources/build/src/detectors/EnvDetector.js',
].map((path) => `node_modules/@opentelemetry/${path}`);

/** Finds the environment variables that the code reads or speaks of. */
export function variablesInCode(): ReadonlySet<string> {
  const names = readFiles('src', '.ts').flatMap(({ text }) => [
    ...captures(text, /\benv\[['"]([A-Z][A-Z0-9_]+)['"]\]/g),
    ...captures(text, /\bprocess\.env\.([A-Z][A-Z0-9_]+)/g),
    // Also what is read under a name that is passed on, and what messages ask a person to set.
    ...captures(text, /\b(PERDURE_[A-Z0-9_]*[A-Z0-9])\b/g),
    ...captures(
      text,
      /['"]((?:OPENAI|TEMPORAL|ANTHROPIC|GOOGLE|MISTRAL|GROQ|DEEPSEEK|XAI|AZURE|AWS|BEDROCK|OLLAMA|VLLM|LMSTUDIO)_[A-Z0-9_]*[A-Z0-9])['"]/g,
    ),
  ]);
  return new Set(names.filter((name) => !OF_THE_SYSTEM.has(name)));
}

/** Finds the environment variables that libraries read for us. */
export function variablesOfLibraries(): ReadonlySet<string> {
  return new Set([
    'NODE_EXTRA_CA_CERTS',
    ...OPENTELEMETRY.flatMap((path) => captures(readText(path), /\b(OTEL_[A-Z_]*[A-Z])\b/g)),
    ...ENVCONFIG.flatMap((path) => captures(readText(path), /\b(TEMPORAL_[A-Z_]*[A-Z])\b/g)),
  ]);
}

function captures(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map(([, name = '']) => name);
}
