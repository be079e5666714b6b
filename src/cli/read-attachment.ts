import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Attachment } from '../client/index.ts';
import { ATTACHMENT_BYTES_MAX } from '../domain/model/attachment.ts';
import type { Cli } from './cli.ts';
import { CommandError, EXIT } from './exit.ts';

/**
 * Reads a file that goes with a message.
 *
 * @throws CommandError when it cannot be read, or is larger than a file may be.
 */
export async function readAttachment({ cwd }: Pick<Cli, 'cwd'>, path: string): Promise<Attachment> {
  try {
    const file = resolve(cwd, path);
    // Looked at first: a file of gigabytes is not read to be refused.
    const { size } = await stat(file);
    if (size <= ATTACHMENT_BYTES_MAX) return { name: basename(file), data: await readFile(file) };
    throw new Error(`it has ${size} bytes, at most ${ATTACHMENT_BYTES_MAX} are taken`);
  } catch (error) {
    throw new CommandError(EXIT.usage, `${path} cannot be attached: ${(error as Error).message}`, { cause: error });
  }
}
