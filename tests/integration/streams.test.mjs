// GET /events/stream: formats, topics, the bytes on the wire, and what the rest of HTTP expects of it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGateway, startPair, startSluice } from '../support/gateway.mjs';
import { RawConnection } from '../support/raw.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

describe('streams', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis, flags: ['--heartbeat', '200ms', '--subscription-linger', '300ms'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  /** Opens a stream, with its subscriptions in place: what is published from here on is for it. */
  async function open(path, ...channels) {
    const stream = await gateway.stream(path);
    assert.equal(stream.status, 200);
    for (const channel of channels) await until(`a subscription to ${channel}`, () => redis.subscriptions(channel));
    return stream;
  }

  async function openPatterns(path, count) {
    const stream = await gateway.stream(path);
    await until('a pattern subscription', async () => (await redis.command('PUBSUB', 'NUMPAT')) >= count);
    return stream;
  }

  test('the head and the first bytes', async () => {
    const stream = await gateway.stream('/events/stream?channel=head');
    assert.equal(stream.status, 200);
    assert.equal(stream.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(stream.headers['cache-control'], 'no-store, no-transform');
    assert.equal(stream.headers['x-accel-buffering'], 'no');
    assert.equal(stream.headers['content-length'], undefined);
    const retry = await stream.seesRetry();
    assert.ok(retry >= 1000 && retry <= 5000, `retry: ${retry}`);
    assert.match(stream.bytes.toString(), /^retry: \d+\n/);
    await stream.close();
  });

  test('retry differs from client to client', async () => {
    const streams = await Promise.all(Array.from({ length: 8 }, () => gateway.stream('/events/stream?channel=jitter')));
    const retries = await Promise.all(streams.map((stream) => stream.seesRetry()));
    assert.ok(new Set(retries).size > 1, `all ${retries[0]}`);
    await Promise.all(streams.map((stream) => stream.close()));
  });

  test('a heartbeat comment keeps an idle stream open', async () => {
    const stream = await gateway.stream('/events/stream?channel=idle');
    await stream.seesComment(3);
    assert.deepEqual(stream.events, []);
    await stream.close();
  });

  test('one channel is raw: unnamed, the payload as it is, with an id', async () => {
    const stream = await open('/events/stream?channel=raw', 'raw');
    await redis.publish('raw', '{"a": 1}');
    await redis.publish('raw', 'no JSON');
    const [first, second] = await stream.take(2);
    assert.equal(first.event, 'message');
    assert.equal(first.data, '{"a": 1}');
    assert.ok(first.id && second.id && first.id !== second.id);
    assert.equal(second.data, 'no JSON');
    await stream.close();
  });

  test('several channels come in an envelope', async () => {
    const stream = await open('/events/stream?channel=one&channel=two', 'one', 'two');
    await redis.publish('one', '{"a":1}');
    await redis.publish('two', 'text "quoted"');
    const [first, second] = await stream.take(2);
    assert.deepEqual(JSON.parse(first.data), { channel: 'one', data: { a: 1 } });
    assert.deepEqual(JSON.parse(second.data), { channel: 'two', data: 'text "quoted"' });
    await stream.close();
  });

  test('a pattern comes in an envelope with the channel it was published on', async () => {
    const stream = await openPatterns('/events/stream?pattern=pat.*', 1);
    await redis.publish('pat.a', '1');
    await redis.publish('other', '2');
    await redis.publish('pat.b', '3');
    const events = (await stream.take(2)).map((event) => JSON.parse(event.data));
    assert.deepEqual(events, [{ channel: 'pat.a', data: 1 }, { channel: 'pat.b', data: 3 }]);
    await stream.close();
  });

  test('format=named names the event after its topic', async () => {
    const stream = await open('/events/stream?channel=n1&channel=n2&format=named', 'n1', 'n2');
    await redis.publish('n2', '{"x":1}');
    const event = await stream.next();
    assert.equal(event.event, 'n2');
    assert.equal(event.data, '{"x":1}');
    await stream.close();
  });

  test('format=envelope and format=raw can be asked for', async () => {
    const enveloped = await open('/events/stream?channel=f1&format=envelope', 'f1');
    const raw = await open('/events/stream?channel=f1&channel=f2&format=raw', 'f1', 'f2');
    await redis.publish('f1', '7');
    assert.deepEqual(JSON.parse((await enveloped.next()).data), { channel: 'f1', data: 7 });
    assert.equal((await raw.next()).data, '7');
    await Promise.all([enveloped.close(), raw.close()]);
  });

  test('a channel and patterns that overlap give each event once', async () => {
    const stream = await openPatterns('/events/stream?channel=over.lap&pattern=over.*&pattern=*.lap', 2);
    await until('the channel', () => redis.subscriptions('over.lap'));
    for (let n = 0; n < 20; n++) await redis.publish('over.lap', String(n));
    await redis.publish('over.end', '"end"');
    const seen = [];
    for (let event; (event = JSON.parse((await stream.next()).data)).data !== 'end'; ) seen.push(event);
    assert.deepEqual(seen, Array.from({ length: 20 }, (_, n) => ({ channel: 'over.lap', data: n })));
    assert.equal(new Set(stream.events.map((event) => event.id)).size, 21);
    await stream.close();
  });

  test('large ones, of which a turn brings only a part, as well', async () => {
    const stream = await openPatterns('/events/stream?channel=large.lap&pattern=large.*&format=raw', 1);
    await until('the channel', () => redis.subscriptions('large.lap'));
    const sent = Array.from({ length: 40 }, (_, n) => String(n).padStart(100_000, 'x'));
    for (const payload of sent) await redis.publish('large.lap', payload);
    await redis.publish('large.lap', 'end');
    assert.deepEqual((await stream.take(41)).map(({ data }) => data.slice(-3)), [...sent.map((payload) => payload.slice(-3)), 'end']);
    await stream.close();
  });

  test('the same channel asked for twice gives each event once', async () => {
    const stream = await open('/events/stream?channel=twice&channel=twice&channel=last', 'twice', 'last');
    await redis.publish('twice', '1');
    await redis.publish('last', '2');
    assert.deepEqual((await stream.take(2)).map((event) => JSON.parse(event.data).data), [1, 2]);
    await stream.close();
  });

  test('events of several topics keep the order in which Redis had them', async () => {
    const stream = await open('/events/stream?channel=o1&channel=o2&channel=o3', 'o1', 'o2', 'o3');
    const sent = Array.from({ length: 3000 }, (_, n) => n);
    await Promise.all(sent.map((n) => redis.publish(`o${(n % 3) + 1}`, String(n))));
    const seen = (await stream.take(sent.length)).map((event) => JSON.parse(event.data).data);
    assert.deepEqual(seen, sent);
    await stream.close();
  });

  test('payloads with line ends, NUL and invalid UTF-8 are one well-formed event each', async () => {
    const stream = await open('/events/stream?channel=hostile', 'hostile');
    const cases = [
      ['a\nb', 'a\nb'],
      ['a\r\nb', 'a\nb'],
      ['a\rb', 'a\nb'],
      ['\n', '\n'],
      ['end\n', 'end\n'],
      ['a\n\ndata: forged\n\n', 'a\n\ndata: forged\n\n'],
      ['x\nevent: forged\nid: 666\nretry: 1', 'x\nevent: forged\nid: 666\nretry: 1'],
      [' leading space', ' leading space'],
      ['', ''],
      [Buffer.from([0x61, 0x00, 0x62]), 'a\0b'],
      [Buffer.from([0xff, 0xfe, 0x41]), '\ufffd\ufffdA'],
      [Buffer.from([0xe2, 0x82]), '\ufffd'],
      [Buffer.from([0xed, 0xa0, 0x80]), '\ufffd\ufffd\ufffd'],
      ['\ufeffbom', '\ufeffbom'],
      ['😀'.repeat(1000), '😀'.repeat(1000)],
    ];
    for (const [payload] of cases) await redis.publish('hostile', payload);
    const events = await stream.take(cases.length);
    events.forEach((event, index) => {
      assert.equal(event.data, cases[index][1], `case ${index}`);
      assert.equal(event.event, 'message');
    });
    assert.equal(new Set(events.map((event) => event.id)).size, cases.length);
    assert.equal(stream.retries.length, 1);
    await stream.close();
  });

  test('a channel name with control characters is refused, and a strange one cannot forge fields', async () => {
    assert.equal((await gateway.get(`/events/stream?channel=${encodeURIComponent('evil\nid: 1\ndata: forged')}`)).status, 400);
    const name = 'odd: name " \\ ü 😀 *?[x]';
    const stream = await open(`/events/stream?channel=${encodeURIComponent(name)}&channel=other&format=envelope`, name);
    const named = await open(`/events/stream?channel=${encodeURIComponent(name)}&format=named`, name);
    await redis.publish(name, '1');
    assert.deepEqual(JSON.parse((await stream.next()).data), { channel: name, data: 1 });
    assert.equal((await named.next()).event, name);
    await Promise.all([stream.close(), named.close()]);
  });

  test('a pattern may match channels whose names would forge fields, and they do not', async () => {
    const stream = await openPatterns('/events/stream?pattern=forge*&format=named', 1);
    await redis.publish('forge\nid: 1\ndata: forged', 'real');
    const event = await stream.next();
    assert.equal(event.data, 'real');
    assert.doesNotMatch(event.event, /\n/);
    await stream.close();
  });

  test('a message of a megabyte passes whole', async () => {
    const stream = await open('/events/stream?channel=big', 'big');
    const payload = 'x'.repeat(900 * 1000);
    await redis.publish('big', payload);
    assert.equal((await stream.next()).data, payload);
    await stream.close();
  });

  test('N viewers are one Redis subscription, gone some time after the last has left', async () => {
    const subscriptions = () => gateway.metric('sluice_redis_subscriptions');
    await until('nothing lingers', async () => (await subscriptions()) === 0);
    const streams = await Promise.all(Array.from({ length: 50 }, () => gateway.stream('/events/stream?channel=shared')));
    await until('the subscription', () => redis.subscriptions('shared'));
    assert.equal(await redis.subscriptions('shared'), 1);
    assert.equal(await subscriptions(), 1);
    await redis.publish('shared', '1');
    await Promise.all(streams.map((stream) => stream.next()));
    await Promise.all(streams.slice(1).map((stream) => stream.close()));
    await redis.publish('shared', '2');
    assert.equal((await streams[0].next()).data, '2');
    assert.equal(await redis.subscriptions('shared'), 1);
    await streams[0].close();
    await until('the subscription is gone', async () => (await redis.subscriptions('shared')) === 0);
    const again = await open('/events/stream?channel=shared', 'shared');
    await redis.publish('shared', '3');
    assert.equal((await again.next()).data, '3');
    await again.close();
  });

  test('a stream counts as a client until it leaves', async () => {
    await until('no client', async () => (await gateway.metric('sluice_sse_clients')) === 0);
    const stream = await gateway.stream('/events/stream?channel=counted');
    await until('one client', async () => (await gateway.metric('sluice_sse_clients')) === 1);
    await stream.close();
    await until('no client', async () => (await gateway.metric('sluice_sse_clients')) === 0);
  });

  test('the prefixes /api and /api/v1 mean the same', async () => {
    for (const prefix of ['/api', '/api/v1']) {
      const stream = await open(`${prefix}/events/stream?channel=prefixed`, 'prefixed');
      await redis.publish('prefixed', '1');
      assert.equal((await stream.next()).data, '1');
      await stream.close();
    }
  });

  test('HEAD has the head and no body', async () => {
    const response = await gateway.request('HEAD', '/events/stream?channel=x');
    assert.equal(response.status, 200);
    assert.match(response.headers['content-type'], /^text\/event-stream/);
    assert.equal(response.text, '');
  });

  test('a wrong method is 405 with Allow', async () => {
    for (const [method, path, allowed] of [
      ['POST', '/events/stream?channel=x', /GET.*HEAD|HEAD.*GET/],
      ['DELETE', '/events/publish', /POST/],
      ['PATCH', '/batches/1', /(?=.*GET)(?=.*PUT)(?=.*DELETE)/],
      ['POST', '/metrics', /GET/],
    ]) {
      const response = await gateway.request(method, path);
      assert.equal(response.status, 405, `${method} ${path}`);
      assert.match(response.headers.allow, allowed, `${method} ${path}`);
      assert.match(response.headers['content-type'], /^application\/problem\+json/);
    }
  });

  test('an unknown path is 404', async () => {
    for (const path of ['/nothing', '/events', '/events/stream/', '/api/api/events/stream?channel=x', '/batches/1/2']) {
      const response = await gateway.get(path);
      assert.equal(response.status, 404, path);
      assert.match(response.headers['content-type'], /^application\/problem\+json/, path);
    }
  });

  test('a stream of nothing, or in no known format, is 400', async () => {
    for (const query of ['', '?channel=', '?channel=x&format=xml', `?${'channel=a&'.repeat(3)}pattern=`]) {
      const response = await gateway.get(`/events/stream${query}`);
      assert.equal(response.status, 400, query);
      assert.ok(response.json().detail);
    }
  });

  test('too many topics are refused', async () => {
    const query = Array.from({ length: 201 }, (_, n) => `channel=c${n}`).join('&');
    const response = await gateway.get(`/events/stream?${query}`);
    assert.ok([400, 422].includes(response.status), String(response.status));
    assert.match(response.text, /200/);
  });

  test('pipelined requests before a stream are answered first', async () => {
    const connection = new RawConnection(gateway.port);
    connection.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /events/stream?channel=piped HTTP/1.1\r\nHost: x\r\n\r\n');
    await connection.sees(/HTTP\/1\.1 200 .*HTTP\/1\.1 200 .*retry: \d+/s);
    await until('a subscription', () => redis.subscriptions('piped'));
    await redis.publish('piped', 'hello');
    await connection.sees(/data: hello\n/);
    await connection.close();
  });

  test('HTTP/1.0 clients get a stream too', async () => {
    const connection = new RawConnection(gateway.port);
    connection.send('GET /events/stream?channel=old HTTP/1.0\r\n\r\n');
    await connection.sees(/^HTTP\/1\.[01] 200 .*retry: \d+/s);
    await until('a subscription', () => redis.subscriptions('old'));
    await redis.publish('old', 'hello');
    await connection.sees(/data: hello\n/);
    assert.doesNotMatch(connection.text, /transfer-encoding: chunked/i);
    await connection.close();
  });
});

describe('CORS', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis, flags: ['--cors-origins', 'https://app.example,https://other.example'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  test('a preflight of a listed origin is allowed', async () => {
    const response = await gateway.request('OPTIONS', '/events/publish', {
      headers: { origin: 'https://app.example', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' },
    });
    assert.ok([200, 204].includes(response.status));
    assert.equal(response.headers['access-control-allow-origin'], 'https://app.example');
    assert.match(response.headers['access-control-allow-methods'], /POST/);
    for (const header of [/content-type/i, /last-event-id/i, /if-none-match/i, /idempotency-key/i])
      assert.match(response.headers['access-control-allow-headers'], header);
    assert.match(response.headers.vary, /origin/i);
  });

  test('a stream for a listed origin says so', async () => {
    const stream = await gateway.stream('/events/stream?channel=x', { origin: 'https://other.example' });
    assert.equal(stream.headers['access-control-allow-origin'], 'https://other.example');
    await stream.close();
  });

  test('another origin is not allowed', async () => {
    const response = await gateway.request('OPTIONS', '/events/stream', {
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'GET' },
    });
    assert.equal(response.headers['access-control-allow-origin'], undefined);
    const stream = await gateway.stream('/events/stream?channel=x', { origin: 'https://evil.example' });
    assert.equal(stream.headers['access-control-allow-origin'], undefined);
    await stream.close();
  });
});

test('more streams than clients_max are deferred in a way that browsers come back from', async (t) => {
  const { gateway } = await startPair(t, { flags: ['--clients-max', '2'] });
  const streams = await Promise.all([gateway.stream('/events/stream?channel=a'), gateway.stream('/events/stream?channel=a')]);
  await until('two clients', async () => (await gateway.metric('sluice_sse_clients')) === 2);
  const third = await gateway.stream('/events/stream?channel=a');
  assert.equal(third.status, 200);
  await third.seesRetry();
  await third.end();
  assert.ok(third.retries.at(-1) >= 1000);
  assert.deepEqual(third.events.map((event) => event.event), ['refused']);
  const tail = startSluice(['tail', '--url', gateway.origin, 'a']);
  await tail.sees(/sluice: refused .*full/);
  assert.equal(tail.stdout, '');
  tail.kill('SIGTERM');
  await tail.ends();
  await Promise.all(streams.map((stream) => stream.close()));
});
