// Coming back: what was missed, then live, nothing twice; and a gap where that cannot be proved.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGateway, startPair } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

describe('resuming', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis, flags: ['--replay-messages', '50'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  /** A stream that has seen one event on `channel`, closed again; returns the id it would come back with. */
  async function lastSeen(channel, query = `channel=${channel}`) {
    const stream = await gateway.stream(`/events/stream?${query}`);
    await until('a subscription', () => redis.subscriptions(channel));
    await redis.publish(channel, '"seen"');
    const { id } = await stream.next();
    await stream.close();
    return id;
  }

  const ways = {
    'the header Last-Event-ID': (id) => ['', { 'last-event-id': id }],
    'the parameter lastEventId': (id) => [`&lastEventId=${encodeURIComponent(id)}`, {}],
    'the parameter last_event_id': (id) => [`&last_event_id=${encodeURIComponent(id)}`, {}],
    'the parameter Last-Event-ID': (id) => [`&Last-Event-ID=${encodeURIComponent(id)}`, {}],
  };
  for (const [index, [name, way]] of Object.entries(ways).entries()) {
    test(`by ${name}: what was missed, then live`, async () => {
      const channel = `way${index}`;
      const id = await lastSeen(channel);
      for (let n = 0; n < 10; n++) await redis.publish(channel, String(n));
      const [query, headers] = way(id);
      const stream = await gateway.stream(`/events/stream?channel=${channel}${query}`, headers);
      assert.deepEqual((await stream.take(10)).map((event) => event.data), Array.from({ length: 10 }, (_, n) => String(n)));
      await redis.publish(channel, 'live');
      assert.equal((await stream.next()).data, 'live');
      assert.deepEqual(stream.events.map((event) => event.event), Array(11).fill('message'));
      await stream.close();
    });
  }

  test('nothing missed: nothing repeated', async () => {
    const id = await lastSeen('nothing');
    const stream = await gateway.stream('/events/stream?channel=nothing', { 'last-event-id': id });
    await redis.publish('nothing', 'next');
    assert.equal((await stream.next()).data, 'next');
    await stream.close();
  });

  test('over and over under a steady flow: each number once and in order', async () => {
    const steady = await gateway.stream('/events/stream?channel=flow');
    await until('a subscription', () => redis.subscriptions('flow'));
    let sent = 0;
    let isFlowing = true;
    const flow = (async () => {
      for (; isFlowing; sent++) {
        await redis.publish('flow', String(sent));
        if (sent % 5 === 4) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const seen = [];
    let id;
    for (let round = 0; round < 30; round++) {
      const stream = await gateway.stream('/events/stream?channel=flow', id ? { 'last-event-id': id } : {});
      await stream.next();
      await stream.close();
      for (const event of stream.events) {
        assert.equal(event.event, 'message', `round ${round}: ${JSON.stringify(event)}`);
        seen.push(Number(event.data));
      }
      id = stream.lastEventId;
    }
    isFlowing = false;
    await flow;
    assert.deepEqual(seen, Array.from({ length: seen.length }, (_, n) => seen[0] + n));
    await steady.close();
  });

  test('one id serves several topics', async () => {
    const id = await lastSeen('several.a', 'channel=several.a&channel=several.b&pattern=several.*');
    const order = ['several.a', 'several.b', 'several.b', 'several.c', 'several.a'];
    for (const [n, channel] of order.entries()) await redis.publish(channel, String(n));
    const stream = await gateway.stream('/events/stream?channel=several.a&channel=several.b&pattern=several.*', { 'last-event-id': id });
    const events = (await stream.take(5)).map((event) => JSON.parse(event.data));
    assert.deepEqual(events, order.map((channel, n) => ({ channel, data: n })));
    await stream.close();
  });

  test('more missed than is kept: a gap, then what there is and live', async () => {
    const id = await lastSeen('trimmed');
    for (let n = 0; n < 200; n++) await redis.publish('trimmed', String(n));
    const stream = await gateway.stream('/events/stream?channel=trimmed', { 'last-event-id': id });
    const gap = await stream.next();
    assert.equal(gap.event, 'gap');
    assert.equal(JSON.parse(gap.data).reason, 'trimmed');
    await redis.publish('trimmed', 'live');
    await stream.nextWhere((event) => event.data === 'live');
    await stream.close();
  });

  for (const id of ['nonsense', '0', '1517574547834-0', `${'f'.repeat(16)}-`, 'x'.repeat(2000), '-1', '../../etc/passwd']) {
    test(`an id that is none of ours (${id.slice(0, 24)}): a gap that says so, then live`, async () => {
      const stream = await gateway.stream('/events/stream?channel=unknown', { 'last-event-id': id });
      const gap = await stream.next();
      assert.equal(gap.event, 'gap');
      assert.equal(JSON.parse(gap.data).reason, 'unknown-id');
      await until('a subscription', () => redis.subscriptions('unknown'));
      await redis.publish('unknown', 'live');
      assert.equal((await stream.next()).data, 'live');
      await stream.close();
    });
  }

  test('an id from the future of this process: a gap', async () => {
    const id = await lastSeen('future');
    const [epoch] = id.split('-');
    const stream = await gateway.stream('/events/stream?channel=future', { 'last-event-id': `${epoch}-99999999` });
    assert.equal((await stream.next()).event, 'gap');
    await stream.close();
  });

  test('an empty id is no id', async () => {
    const stream = await gateway.stream('/events/stream?channel=empty', { 'last-event-id': '' });
    await until('a subscription', () => redis.subscriptions('empty'));
    await redis.publish('empty', '1');
    assert.equal((await stream.next()).data, '1');
    await stream.close();
  });

  test('an id of another process: a gap that says restart, then live', async (t) => {
    const id = await lastSeen('restart');
    const other = await startGateway({ redis });
    t.after(() => other.stop());
    const stream = await other.stream('/events/stream?channel=restart', { 'last-event-id': id });
    const gap = await stream.next();
    assert.equal(gap.event, 'gap');
    assert.equal(JSON.parse(gap.data).reason, 'restart');
    await until('a subscription of both', async () => (await redis.subscriptions('restart')) >= 1);
    await redis.publish('restart', 'live');
    assert.equal((await stream.next()).data, 'live');
    assert.equal(await other.metric('sluice_gaps_total{reason="restart"}'), 1);
    await stream.close();
  });

  test('the id after a gap can be come back with', async () => {
    const stream = await gateway.stream('/events/stream?channel=again', { 'last-event-id': 'nonsense' });
    const gap = await stream.next();
    assert.equal(gap.event, 'gap');
    await until('a subscription', () => redis.subscriptions('again'));
    await redis.publish('again', '1');
    await stream.next();
    await stream.close();
    await redis.publish('again', '2');
    const back = await gateway.stream('/events/stream?channel=again', { 'last-event-id': stream.lastEventId });
    assert.equal((await back.next()).data, '2');
    await back.close();
  });
});

test('ids are safe in a CORS request header', async (t) => {
  const { redis, gateway } = await startPair(t);
  const stream = await gateway.stream('/events/stream?channel=x');
  await until('a subscription', () => redis.subscriptions('x'));
  await redis.publish('x', '1');
  const { id } = await stream.next();
  assert.ok(id.length <= 128);
  assert.doesNotMatch(id, /["():<>?@[\\\]{}\x00-\x1f\x7f]/);
  await stream.close();
});

test('Redis killed and back: streams stay open, are told, and go on', async (t) => {
  const { redis, gateway } = await startPair(t);
  const one = await gateway.stream('/events/stream?channel=x');
  const several = await gateway.stream('/events/stream?channel=x&pattern=y*');
  await Promise.all([one.seesRetry(), several.seesRetry()]);
  await redis.publish('x', '1');
  await Promise.all([one.next(), several.next()]);
  await redis.kill();
  await until('it notices', async () => !(await gateway.isReady()));
  const waiting = await gateway.stream('/events/stream?channel=x');
  assert.equal(waiting.status, 200);
  await redis.start();
  for (const stream of [one, several]) {
    const gap = await stream.nextWhere((event) => event.event === 'gap', 15000);
    assert.equal(JSON.parse(gap.data).reason, 'redis-reconnect');
  }
  await until('subscriptions', () => redis.subscriptions('x'));
  await redis.publish('x', 'back');
  assert.equal((await one.next()).data, 'back');
  assert.equal(JSON.parse((await several.next()).data).data, 'back');
  assert.equal((await waiting.nextWhere((event) => event.event === 'message')).data, 'back');
  assert.equal(await redis.subscriptions('x'), 1);
  await gateway.ready();
  assert.ok((await gateway.metric('sluice_redis_reconnects_total')) >= 1);
  assert.ok((await gateway.metric('sluice_gaps_total{reason="redis-reconnect"}')) >= 2);
  await Promise.all([one.close(), several.close(), waiting.close()]);
});

test('who was away while Redis was lost is told on coming back', async (t) => {
  const { redis, gateway } = await startPair(t);
  const stream = await gateway.stream('/events/stream?channel=x');
  await until('a subscription', () => redis.subscriptions('x'));
  await redis.publish('x', '1');
  const { id } = await stream.next();
  await stream.close();
  await redis.restart();
  await gateway.ready();
  const back = await gateway.stream('/events/stream?channel=x', { 'last-event-id': id });
  const gap = await back.next();
  assert.equal(gap.event, 'gap');
  await until('a subscription', () => redis.subscriptions('x'));
  await redis.publish('x', '2');
  assert.equal((await back.next()).data, '2');
  await back.close();
});

test('who was away longer than the subscription lingered is told on coming back', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--subscription-linger', '100ms'] });
  const stream = await gateway.stream('/events/stream?channel=x');
  await until('a subscription', () => redis.subscriptions('x'));
  await redis.publish('x', '1');
  const { id } = await stream.next();
  await stream.close();
  await until('the subscription is gone', async () => (await redis.subscriptions('x')) === 0);
  await redis.publish('x', 'missed');
  const back = await gateway.stream('/events/stream?channel=x', { 'last-event-id': id });
  assert.equal((await back.next()).event, 'gap');
  await back.close();
});
