// Makes allocations of a gateway fail: the switchboard of tests/faults/fail_allocations.c.

import { closeSync, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BINARY } from './gateway.mjs';
import { makeFolder, removeFolder } from './processes.mjs';

const LIBRARY = join(dirname(BINARY), 'tests/faults/fail_allocations.so');

/** Why it cannot be had, or undefined: a sanitizer brings its own allocator. */
export const NO_ALLOCATIONS = existsSync(LIBRARY) ? undefined : 'the binary has a sanitizer, or is not where it was built';

export class Allocations {
  constructor(t) {
    const folder = makeFolder();
    this.file = openSync(join(folder, 'switchboard'), 'w+');
    this.environment = { LD_PRELOAD: LIBRARY, FAIL_ALLOCATIONS: join(folder, 'switchboard') };
    writeSync(this.file, Buffer.alloc(32), 0, 32, 0);
    t.after(() => {
      closeSync(this.file);
      removeFolder(folder);
    });
  }

  #read(place) {
    const bytes = Buffer.alloc(8);
    readSync(this.file, bytes, 0, 8, place * 8);
    return Number(bytes.readBigUInt64LE());
  }

  #write(place, number) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(number));
    writeSync(this.file, bytes, 0, 8, place * 8);
  }

  /** How many there were since main() was entered. */
  get count() {
    return this.#read(0);
  }

  /** How many of them failed. */
  get failed() {
    return this.#read(3);
  }

  /** The `number`-th from now on fails, 1 being the next one; it alone. */
  failNext(number) {
    this.#write(1, this.count + number);
  }

  /** For a process that is about to start: its `number`-th fails. */
  failOfStart(number) {
    this.#write(0, 0);
    this.#write(1, number);
  }

  /** Each `number`-th fails; 0: none. */
  failEvery(number) {
    this.#write(2, number);
  }

  heal() {
    this.#write(1, 0);
    this.#write(2, 0);
  }
}
