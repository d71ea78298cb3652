// One of the threads that serve clients does not get on, while Redis publishes as fast as it can.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault } from '../support/fault.mjs';
import { startProcess } from '../support/processes.mjs';
import { RawConnection } from '../support/raw.mjs';
import { startRecorded } from '../support/recorder.mjs';
import { anonymousBytes, peakMemory } from '../support/vitals.mjs';

const MIB = 2 ** 20;
const PAYLOAD = Buffer.alloc(32 * 1024, 'x');
const AT_ONCE = 64;
const FLOOD_BYTES = 1024 * MIB;
const FLOOD_MS = 20000;
const MEMORY_MAX = 256 * MIB;

/** Each turn of the thread's loop takes three seconds longer, until release(). */
async function holdUp(t, thread) {
  const strace = startProcess('strace', ['-qq', '-p', thread, '-e', 'trace=epoll_wait', '-e', 'inject=epoll_wait:delay_enter=3000000']);
  t.after(() => strace.stop());
  await strace.sees(/epoll_wait/);
  return { release: () => strace.stop() };
}

/** Somebody who listens, throws away what comes, and is back at once when it is cut. */
function discard(t, gateway, path) {
  const reader = { received: 0, cuts: -1, isListening: true };
  const open = () => {
    reader.cuts++;
    const connection = new RawConnection(gateway.port);
    reader.connection = connection;
    connection.socket.removeAllListeners('data');
    connection.socket.on('data', (bytes) => (reader.received += bytes.length));
    connection.socket.on('close', () => reader.isListening && setTimeout(open, 20));
    connection.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  };
  reader.close = () => {
    reader.isListening = false;
    return reader.connection.close();
  };
  t.after(() => reader.close());
  open();
  return reader;
}

async function flood(redis) {
  const end = Date.now() + FLOOD_MS;
  let sent = 0;
  for (; sent < FLOOD_BYTES && Date.now() < end; sent += AT_ONCE * PAYLOAD.length)
    await Promise.all(Array.from({ length: AT_ONCE }, () => redis.publish('flood', PAYLOAD)));
  return sent;
}

fault('a worker is held up while Redis publishes as fast as it can', { expected: 'memory stays bounded; nothing lost, or `gap`', needs: ['root', 'strace'], seconds: 40 }, async (t, report) => {
  const { redis, gateway, recorder } = await startRecorded(t, report, { isDirect: true, perSecond: 100, flags: ['--workers', '2', '--access-log', 'off'] });
  const readers = Array.from({ length: 8 }, () => discard(t, gateway, '/events/stream?channel=flood'));
  await pause(500);
  const base = anonymousBytes(gateway.pid);
  const held = await holdUp(t, gateway.threads.get('worker-1'));
  const other = await redis.connect();
  const [sent, peak] = await peakMemory(gateway.pid, () => flood({ publish: (...message) => other.command('PUBLISH', ...message) }));
  await held.release();
  report.recovered(await recorder.live());
  const grown = peak - base;
  const received = readers.map((reader) => reader.received);
  report.saw(`${(sent / MIB).toFixed(0)} MiB published while each turn of one of two workers took three seconds: ${(grown / MIB).toFixed(0)} MiB more memory at most; messages for it were given up ${await gateway.metric('sluice_worker_losses_total')} times`);
  report.saw(`${readers.reduce((sum, { cuts }) => sum + cuts, 0)} clients cut; received ${received.map((bytes) => (bytes / MIB).toFixed(0))} MiB`);
  await Promise.all(readers.map((reader) => reader.close()));
  report.saw(await recorder.finish());
  await other.close();
  assert.ok(grown < MEMORY_MAX, `${(grown / MIB).toFixed(0)} MiB more`);
});
