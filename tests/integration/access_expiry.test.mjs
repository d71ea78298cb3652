// A stream ends when the token does, and who comes back with a fresh one misses nothing.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGateway } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { bearer, claims, makeToken, SECRET } from '../support/tokens.mjs';
import { until } from '../support/wait.mjs';

describe('streams end with their token', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis, environment: { SLUICE_JWT_SECRET: SECRET }, flags: ['--subscription-linger', '30s'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  const rights = { subscribe: ['*'], consume: ['*'] };
  const lasting = (milliseconds) => bearer(makeToken(claims(rights, { exp: (Date.now() + milliseconds) / 1000 })));

  for (const [what, path, publish] of [
    ['channel', '/events/stream?channel=news', (n) => redis.command('PUBLISH', 'news', `${n}`)],
    ['stream', '/events/stream?stream=orders', (n) => redis.command('XADD', 'orders', '*', 'n', `${n}`)],
    ['stream beside a channel', '/events/stream?stream=mails&channel=quiet', (n) => redis.command('XADD', 'mails', '*', 'n', `${n}`)],
  ])
    test(`a ${what}: nothing is missed between two tokens`, async () => {
      const numbers = [];
      const collect = (stream) => {
        for (const { event, data } of stream.events) if (event === 'message') numbers.push(Number(data.match(/\d+(?=\D*$)/)[0]));
      };
      const expires = Date.now() + 1500;
      let stream = await gateway.stream(path, lasting(1500));
      await stream.seesRetry();
      await until('a place to come back to', () => stream.lastEventId !== '');
      let published = 0;
      const timer = setInterval(() => publish(++published), 40);
      await stream.nextWhere(({ event }) => event === 'expired', 6000);
      assert.ok(Date.now() >= expires - 20, 'not before its time');
      assert.ok(Date.now() < expires + 3000, `${Date.now() - expires} ms behind its time`);
      await stream.end();
      assert.equal(stream.events.at(-1).event, 'expired');
      assert.equal(stream.events.at(-1).data, '{"reason":"expired"}');
      assert.ok(stream.retries.length >= 2, 'it says when to come back');
      collect(stream);
      const id = stream.lastEventId;
      await until('some is published meanwhile', () => published > numbers.length + 5);
      stream = await gateway.stream(path, { ...lasting(60000), 'last-event-id': id });
      await until('the rest arrives', () => stream.events.length > 10);
      clearInterval(timer);
      const last = published;
      await until('the last one', () => stream.events.some(({ data }) => data.match(/\d+(?=\D*$)/)?.[0] === `${last}`));
      collect(stream);
      assert.ok(!stream.events.some(({ event }) => event === 'gap'), 'no gap');
      assert.deepEqual(numbers, Array.from({ length: last }, (_, i) => i + 1), 'each once and in order');
      await stream.close();
    });

  test('the old token opens nothing more, and the end is counted', async () => {
    const headers = lasting(1000);
    const stream = await gateway.stream('/batches/42/stream', headers);
    const consumer = await gateway.stream('/streams/jobs/groups/g/events?consumer=c', headers);
    await stream.nextWhere(({ event }) => event === 'expired', 6000);
    await consumer.nextWhere(({ event }) => event === 'expired', 6000);
    await until('the leeway is over', async () => (await gateway.get('/batches/42/stream', headers)).status === 401, 10000);
    const admin = bearer(makeToken(claims({ admin: true })));
    const { text } = await gateway.get('/metrics', admin);
    assert.ok(Number(text.match(/^sluice_sse_expired_total (\d+)$/m)[1]) >= 2);
    assert.ok(Number(text.match(/^sluice_access_refused_total\{reason="expired"\} (\d+)$/m)[1]) >= 1);
  });

  test('hundreds of streams that end together, and one that stays', async () => {
    const stays = await gateway.stream('/events/stream?channel=crowd', lasting(600000));
    const streams = await Promise.all(Array.from({ length: 300 }, () => gateway.stream('/events/stream?channel=crowd', lasting(2500))));
    await Promise.all(streams.map((stream) => stream.nextWhere(({ event }) => event === 'expired', 15000)));
    await Promise.all(streams.map((stream) => stream.end()));
    await redis.command('PUBLISH', 'crowd', '1');
    assert.equal((await stays.next()).data, '1');
    await stays.close();
  });
});
