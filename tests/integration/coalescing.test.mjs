// Messages that go out together: by themselves when the gateway is busy, and as long as coalesce_ms says when it is not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startPair } from '../support/gateway.mjs';
import { until } from '../support/wait.mjs';

/** A stream that counts the pieces in which it came: each is one or more sends of the gateway. */
async function openCounted(gateway, redis, path, channel, headers) {
  const stream = await gateway.stream(path, headers);
  stream.pieces = 0;
  stream.response.on('data', () => stream.pieces++);
  await stream.seesRetry();
  await until('a subscription', () => redis.subscriptions(channel));
  return stream;
}

const numbers = (events) => events.map(({ data }) => Number(data));
const upTo = (count) => Array.from({ length: count }, (_, n) => n);

test('what arrives while the gateway is busy goes out together', async (t) => {
  const { redis, gateway } = await startPair(t);
  const stream = await openCounted(gateway, redis, '/events/stream?channel=x', 'x');
  process.kill(gateway.pid, 'SIGSTOP');
  try {
    await Promise.all(upTo(2000).map((n) => redis.publish('x', n)));
  } finally {
    process.kill(gateway.pid, 'SIGCONT');
  }
  assert.deepEqual(numbers(await stream.take(2000, 10000)), upTo(2000));
  assert.ok(stream.pieces < 100, `${stream.pieces} pieces`);
  await stream.close();
});

test('coalesce_ms gathers, in order and without loss, for all kinds of clients', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--coalesce-ms', '100'] });
  const kinds = [
    ['/events/stream?channel=x', {}],
    ['/events/stream?channel=x', { 'accept-encoding': 'gzip' }],
    ['/events/stream?channel=x&channel=y&format=raw', {}],
    ['/events/stream?channel=x&stream=s&format=raw', { 'accept-encoding': 'gzip' }],
  ];
  const streams = await Promise.all(kinds.map(([path, headers]) => openCounted(gateway, redis, path, 'x', headers)));
  await pause(300);
  const before = streams.map((stream) => stream.pieces);
  for (let n = 0; n < 200; n++) {
    await redis.publish('x', n);
    if (n % 50 === 25) {
      await until('an event', () => streams[0].events.length > 0);
      const { id, data } = streams[0].events.at(-1);
      const from = Number(data) + 1;
      const late = await gateway.stream('/events/stream?channel=x', { 'last-event-id': id });
      await late.seesRetry();
      late.from = from;
      streams.push(late);
    }
    await pause(2);
  }
  for (const stream of streams) {
    const from = stream.from ?? 0;
    assert.deepEqual(numbers(await stream.take(200 - from, 5000)), upTo(200).slice(from));
  }
  for (const [index, [path]] of kinds.entries()) {
    const pieces = streams[index].pieces - before[index];
    assert.ok(pieces < 100, `${pieces} pieces for 200 messages of ${path}`);
  }
  await Promise.all(streams.map((stream) => stream.close()));
});

test('what is held is not lost when Redis is, or the gateway ends', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--coalesce-ms', '1000', '--retry-min', '10ms'] });
  const stream = await gateway.stream('/events/stream?channel=x');
  await stream.seesRetry();
  await until('a subscription', () => redis.subscriptions('x'));
  const publish = async (...list) => {
    for (const n of list) await redis.publish('x', n);
    await until('it is with the gateway', async () => (await gateway.metric('sluice_events_consumed_total')) >= list.at(-1));
  };
  await publish(1, 2, 3);
  await redis.restart();
  assert.deepEqual(numbers(await stream.take(3)), [1, 2, 3]);
  assert.equal((await stream.next(10000)).event, 'gap');
  await until('a subscription', () => redis.subscriptions('x'));
  await publish(4, 5, 6);
  await gateway.stop();
  assert.deepEqual(numbers(await stream.take(3)), [4, 5, 6]);
  await stream.end();
});
