import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testFolder } from '../servers.ts';
import { DOMAINS } from './cases.ts';

/** Makes a folder of agents, one for each domain of the cases, for workers in processes of their own. */
export async function tauAgentsFolder(): Promise<string> {
  const folder = await testFolder();
  const module = JSON.stringify(new URL('tau-agent.ts', import.meta.url).href);
  for (const domain of DOMAINS) {
    const name = JSON.stringify(domain);
    mkdirSync(join(folder, domain));
    writeFileSync(
      join(folder, domain, 'agent.ts'),
      `import { tauAgent } from ${module};\nexport const agent = tauAgent(${name}, ${name}, process.env['TAU_MODEL'] ?? 'openai:tau');\n`,
    );
  }
  return folder;
}
