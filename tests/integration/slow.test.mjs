// Clients that read too slowly, or not at all: bounded, dealt with by policy, and no trouble to anybody else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFileSync } from 'node:fs';
import { startPair } from '../support/gateway.mjs';
import { HAS_SANITIZER } from '../support/vitals.mjs';
import { until } from '../support/wait.mjs';

const residentBytes = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

test('a client over its backlog is let go, and told of the gap when it comes back', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--backlog-bytes-max', '64KiB', '--replay-bytes', '64KiB'] });
  const healthy = await gateway.stream('/events/stream?channel=x');
  const slow = await gateway.stream('/events/stream?channel=x');
  healthy.keepBytes = slow.keepBytes = false;
  await until('two clients', async () => (await gateway.metric('sluice_sse_clients')) === 2);
  await until('a subscription', () => redis.subscriptions('x'));
  await redis.publish('x', 'first');
  await slow.next();
  slow.pause();
  const filler = 'x'.repeat(16 * 1024);
  let sent = 0;
  for (; sent < 4000 && (await gateway.metric('sluice_sse_clients')) === 2; sent += 100)
    await Promise.all(Array.from({ length: 100 }, (_, n) => redis.publish('x', `${sent + n} ${filler}`)));
  assert.equal(await gateway.metric('sluice_sse_clients'), 1, `still there after ${sent} messages`);
  assert.equal(await gateway.metric('sluice_slow_clients_total{action="disconnected"}'), 1);
  const events = await healthy.take(sent + 1, 20000);
  assert.deepEqual(events.slice(1).map((event) => parseInt(event.data, 10)), Array.from({ length: sent }, (_, n) => n));
  assert.equal(await gateway.metric('sluice_sse_backlog_bytes'), 0);
  slow.resume();
  await slow.end(20000);
  // What it was sent before it was let go is an unbroken run of whole events.
  const numbers = slow.events.filter((event) => event.event === 'message').slice(1).map((event) => parseInt(event.data, 10));
  assert.deepEqual(numbers, Array.from({ length: numbers.length }, (_, n) => n));
  const back = await gateway.stream('/events/stream?channel=x', { 'last-event-id': slow.lastEventId });
  const gap = await back.next();
  assert.equal(gap.event, 'gap');
  await Promise.all([healthy.close(), back.close()]);
});

test('a slow viewer of a batch skips to the latest state', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--backlog-bytes-max', '64KiB'] });
  const slow = await gateway.stream('/batches/b/stream');
  slow.keepBytes = false;
  await until('a subscription', () => redis.subscriptions('batch:b'));
  slow.pause();
  const filler = 'x'.repeat(16 * 1024);
  const metric = 'sluice_slow_clients_total{action="conflated"}';
  let sent = 0;
  for (; sent < 4000 && (await gateway.metric(metric)) === 0; sent += 100)
    await Promise.all(Array.from({ length: 100 }, (_, n) => redis.publish('batch:b', JSON.stringify({ n: sent + n, filler }))));
  assert.ok((await gateway.metric(metric)) >= 1, `not conflated after ${sent} messages`);
  assert.ok((await gateway.metric('sluice_sse_backlog_bytes')) < 256 * 1024);
  slow.resume();
  await redis.publish('batch:b', JSON.stringify({ n: sent, status: 'COMPLETED' }));
  await slow.end(20000);
  assert.equal(slow.events.at(-1).event, 'complete');
  const numbers = slow.events.filter((event) => event.event === 'progress').map((event) => JSON.parse(event.data).n);
  for (let index = 1; index < numbers.length; index++) assert.ok(numbers[index] > numbers[index - 1], 'no step back, nothing twice');
  assert.equal(numbers.at(-1), sent);
  assert.ok(numbers.length < sent, 'it skipped some');
});

test('batch_slow_policy disconnect lets a slow viewer go', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--backlog-bytes-max', '64KiB', '--batch-slow-policy', 'disconnect'] });
  const slow = await gateway.stream('/batches/b/stream');
  slow.keepBytes = false;
  await until('a subscription', () => redis.subscriptions('batch:b'));
  slow.pause();
  const text = JSON.stringify({ filler: 'x'.repeat(16 * 1024) });
  for (let sent = 0; sent < 4000 && (await gateway.metric('sluice_sse_clients')) === 1; sent += 100)
    await Promise.all(Array.from({ length: 100 }, () => redis.publish('batch:b', text)));
  assert.equal(await gateway.metric('sluice_sse_clients'), 0);
  slow.resume();
  await slow.end(20000);
});

test('a client that takes nothing is let go after the stall timeout', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--backlog-bytes-max', '64MiB', '--stall-timeout', '500ms', '--heartbeat', '200ms'] });
  const stalled = await gateway.stream('/events/stream?channel=x');
  stalled.keepBytes = false;
  await until('a subscription', () => redis.subscriptions('x'));
  stalled.pause();
  const filler = 'x'.repeat(64 * 1024);
  for (let sent = 0; sent < 200; sent += 50) await Promise.all(Array.from({ length: 50 }, () => redis.publish('x', filler)));
  await until('it is let go', async () => (await gateway.metric('sluice_slow_clients_total{action="stalled"}')) === 1, 10000);
  assert.equal(await gateway.metric('sluice_sse_clients'), 0);
  await stalled.close();
});

test('twenty that never read cost bounded memory', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--backlog-bytes-max', '256KiB'] });
  const healthy = await gateway.stream('/events/stream?channel=x');
  const stalled = await Promise.all(Array.from({ length: 20 }, () => gateway.stream('/events/stream?channel=x')));
  for (const stream of stalled) stream.pause();
  await until('all clients', async () => (await gateway.metric('sluice_sse_clients')) === 21);
  await until('a subscription', () => redis.subscriptions('x'));
  healthy.keepBytes = false;
  await redis.publish('x', 'warm');
  await healthy.next();
  const before = residentBytes(gateway.pid);
  const filler = 'x'.repeat(16 * 1024);
  for (let sent = 0; sent < 1000; sent += 50) {
    await Promise.all(Array.from({ length: 50 }, () => redis.publish('x', filler)));
    await healthy.take(50, 20000);
  }
  const grown = residentBytes(gateway.pid) - before;
  if (!HAS_SANITIZER) assert.ok(grown < 24 << 20, `grew by ${grown} bytes`);
  await Promise.all([healthy, ...stalled].map((stream) => stream.close()));
});
