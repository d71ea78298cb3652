// Waiting for things without guessing how long they take. Everything here fails with a sentence that says what did not happen.

import { setTimeout as pause } from 'node:timers/promises';

/** Sanitizers and busy machines are slow: every limit is multiplied by this. */
export const SLOWNESS = Number(process.env.SLUICE_TEST_SLOWNESS ?? 1);

/** Resolves like `promise`, or rejects after `milliseconds`. */
export async function within(milliseconds, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${milliseconds} ms`)), milliseconds * SLOWNESS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Calls `probe` until it returns something truthy, and returns that. For what cannot be awaited as an event. */
export async function until(what, probe, milliseconds = 5000) {
  const deadline = Date.now() + milliseconds * SLOWNESS;
  for (let wait = 2; ; wait = Math.min(wait * 2, 50)) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await pause(wait);
  }
}
