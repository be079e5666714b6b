import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Bytes that running servers need to go on: a few write-ahead logs of 16 MB each, Temporal's own, and the logs. */
const FREE_BYTES_MIN = 64 * 1024 * 1024;

const MEGABYTE = 1024 * 1024;

/**
 * Makes a data folder and checks that servers can work in it, before any of them fails in words of its own.
 *
 * @throws one clear message when the folder cannot be written or its disk is full. What is stored stays as it is.
 */
export async function requireUsableFolder(folder: string): Promise<void> {
  const probe = join(folder, `.write-test-${process.pid}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(probe, '');
    await rm(probe);
  } catch (error) {
    // The part before the comma is for people; the call and the path follow it.
    const reason = (error as Error).message.split(',')[0];
    throw new Error(
      `the data folder ${folder} cannot be written (${reason}); make it writable, or start in another folder. Nothing that is stored was changed.`,
      { cause: error },
    );
  }
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= FREE_BYTES_MIN) return;
  throw new Error(
    `the disk of the data folder ${folder} has ${Math.floor(free / MEGABYTE)} MB free, and the servers need ${FREE_BYTES_MIN / MEGABYTE} MB to work; free some and start again. Nothing that is stored was changed.`,
  );
}
