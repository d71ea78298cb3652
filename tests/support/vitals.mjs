// What a process holds, by /proc, and whether it is back where it was.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { SLOWNESS } from './wait.mjs';

/** Sanitizers keep what is freed for a while (256 MB of it) and notes on everything, so their processes say nothing about memory. */
export const HAS_SANITIZER = (process.env.ASAN_OPTIONS ?? process.env.TSAN_OPTIONS) !== undefined;

/** malloc gives pages back late and in pieces: less than this is no growth. */
export const MEMORY_TOLERANCE_BYTES = 12 * 2 ** 20;

export function descriptors(pid) {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Memory that is no file's: heap and stacks. */
export function anonymousBytes(pid) {
  const [, kilobytes] = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^RssAnon:\s+(\d+) kB$/m);
  return Number(kilobytes) * 1024;
}

/** User and system time so far. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** A pid can be taken again, but not with the same start. */
function startOf(pid) {
  return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ')[19];
}

/** What tells a process from every other, also from a later one of the same pid. */
export function processOf(pid) {
  return { pid, start: startOf(pid) };
}

export function vitalsOf(pid) {
  return { ...processOf(pid), descriptors: descriptors(pid), memory: anonymousBytes(pid) };
}

/** The most of its memory while `work` goes on: [what work returned, bytes]. */
export async function peakMemory(pid, work) {
  let peak = anonymousBytes(pid);
  let isWorking = true;
  const watching = (async () => {
    while (isWorking) {
      peak = Math.max(peak, anonymousBytes(pid));
      await pause(20);
    }
  })();
  try {
    return [await work(), peak];
  } finally {
    isWorking = false;
    await watching;
  }
}

/** Waits until the process of `before` holds what it held then; fails with what is still too much. */
export async function isBackAt(before, { memoryTolerance = MEMORY_TOLERANCE_BYTES, milliseconds = 8000 } = {}) {
  const deadline = Date.now() + milliseconds * SLOWNESS;
  for (;;) {
    const now = vitalsOf(before.pid);
    assert.equal(now.start, before.start, 'the process is another one');
    const grown = now.memory - before.memory;
    const isMemoryBack = HAS_SANITIZER || grown <= memoryTolerance;
    if (now.descriptors <= before.descriptors && isMemoryBack) return now;
    if (Date.now() > deadline) {
      assert.ok(now.descriptors <= before.descriptors, `${now.descriptors} descriptors, ${before.descriptors} before`);
      assert.fail(`${(grown / 2 ** 20).toFixed(1)} MiB more than before (${(before.memory / 2 ** 20).toFixed(1)} MiB)`);
    }
    await pause(50);
  }
}
