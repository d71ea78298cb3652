// POST /events/publish: what reaches Redis, what the caller is told, and what is refused.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startGateway, startPair } from '../support/gateway.mjs';
import { RawConnection } from '../support/raw.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

describe('publishing', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  async function listenTo(channel) {
    const client = await redis.connect();
    await client.subscribe(channel);
    return client;
  }

  /** The entries of a Redis Stream as [id, {field: value}]. */
  async function entries(stream) {
    const rows = await redis.command('XRANGE', stream, '-', '+');
    return rows.map(([id, fields]) => [
      id,
      Object.fromEntries(fields.flatMap((name, index) => (index % 2 ? [] : [[name, fields[index + 1]]]))),
    ]);
  }

  function assertProblem(response, status, words) {
    assert.equal(response.status, status, response.text);
    assert.match(response.headers['content-type'], /^application\/problem\+json/);
    const problem = response.json();
    assert.equal(problem.status, status);
    assert.ok(problem.title);
    if (words) assert.match(`${problem.title} ${problem.detail}`, words);
  }

  test('a channel gets the payload as compact JSON', async () => {
    const client = await listenTo('compact');
    const response = await gateway.request('POST', '/events/publish', {
      body: '{ "channel" : "compact",\n "payload" : { "text" : "Zoë\\u0000\\ud83d\\ude00", "n" : 1.50, "list" : [ 1, null, true ] } }',
      headers: { 'content-type': 'application/json; charset=utf-8' },
    });
    assert.equal(response.status, 200, response.text);
    assert.match(response.headers['content-type'], /^application\/json/);
    const { payload } = await client.nextMessage();
    assert.deepEqual(JSON.parse(payload), { text: 'Zoë\0😀', n: 1.5, list: [1, null, true] });
    assert.doesNotMatch(payload, /\s/);
    const receipt = response.json();
    assert.equal(receipt.channel, 'compact');
    assert.equal(receipt.receivers, 1);
    assert.equal(receipt.id, null);
    assert.equal(receipt.duplicate, false);
    await client.close();
  });

  test('any JSON value is a payload, and data is accepted for payload', async () => {
    const client = await listenTo('values');
    for (const payload of [null, false, 0, -12.5, '', 'text', [], [1, [2]], {}]) {
      assert.equal((await gateway.publish({ channel: 'values', payload })).status, 200);
      assert.equal((await client.nextMessage()).payload, JSON.stringify(payload));
    }
    assert.equal((await gateway.publish({ channel: 'values', data: { a: 1 } })).status, 200);
    assert.equal((await client.nextMessage()).payload, '{"a":1}');
    await client.close();
  });

  test('numbers keep their digits', async () => {
    const client = await listenTo('digits');
    const body = '{"channel":"digits","payload":{"id":9007199254740993,"price":0.1}}';
    await gateway.request('POST', '/events/publish', { body, headers: { 'content-type': 'application/json' } });
    assert.equal((await client.nextMessage()).payload, '{"id":9007199254740993,"price":0.1}');
    await client.close();
  });

  test('a stream gets the fields of the payload', async () => {
    const payload = { text: 'as it is', number: 1.5, whole: 42, yes: true, no: false, object: { a: [1] }, list: [1, 'b'] };
    const receipt = (await gateway.publish({ stream: 'orders', payload })).json();
    assert.match(receipt.id, /^\d+-\d+$/);
    assert.equal(receipt.stream, 'orders');
    assert.deepEqual(await entries('orders'), [
      [receipt.id, { text: 'as it is', number: '1.5', whole: '42', yes: 'true', no: 'false', object: '{"a":[1]}', list: '[1,"b"]' }],
    ]);
  });

  test('channel and stream together: both', async () => {
    const client = await listenTo('both');
    const receipt = (await gateway.publish({ channel: 'both', stream: 'both:stream', payload: { a: 1 } })).json();
    assert.equal(receipt.receivers, 1);
    assert.deepEqual(await entries('both:stream'), [[receipt.id, { a: '1' }]]);
    assert.equal((await client.nextMessage()).payload, '{"a":1}');
    await client.close();
  });

  test('channel and stream together: neither when the stream cannot', async () => {
    const client = await listenTo('neither');
    await redis.command('SET', 'neither:stream', 'not a stream');
    const response = await gateway.publish({ channel: 'neither', stream: 'neither:stream', payload: { a: 1 } });
    assert.ok(response.status >= 400 && response.status < 500, `${response.status} ${response.text}`);
    assert.match(response.text, /WRONGTYPE|else than a stream/i);
    await redis.publish('neither', 'sentinel');
    assert.equal((await client.nextMessage()).payload, 'sentinel');
    await client.close();
  });

  test('a bus event is ephemeral by default', async () => {
    const client = await listenTo('live:price');
    const response = await gateway.publish({ event: 'price', payload: { now: 3 } });
    assert.equal(response.status, 200, response.text);
    assert.match((await client.nextMessage()).payload, /"now":3/);
    assert.equal(await redis.command('EXISTS', 'events:price'), 0);
    await client.close();
  });

  test('a critical bus event is kept too, and the live message carries the id of its entry', async () => {
    const client = await listenTo('live:alarm');
    const response = await gateway.publish({ event: 'alarm', critical: true, payload: { level: 'red' } });
    const receipt = response.json();
    assert.match(receipt.id, /^\d+-\d+$/);
    assert.equal(receipt.receivers, 1);
    const kept = await entries('events:alarm');
    assert.equal(kept.length, 1);
    assert.equal(kept[0][0], receipt.id);
    assert.match(JSON.stringify(kept[0][1]), /red/);
    const { payload } = await client.nextMessage();
    assert.ok(payload.includes(receipt.id), payload);
    assert.match(payload, /red/);
    await client.close();
  });

  test('of an entry in two streams the receipt names the stream that was named, and its id', async () => {
    const client = await listenTo('live:double');
    await redis.command('XADD', 'ahead', '9999999999999-0', 'level', 'before');
    const event = { stream: 'ahead', event: 'double', critical: true, payload: { level: 'red' }, id: 'double-1' };
    const receipt = (await gateway.publish(event)).json();
    assert.equal(receipt.stream, 'ahead');
    assert.equal(receipt.id, '9999999999999-1');
    const [[kept]] = await entries('events:double');
    assert.notEqual(kept, receipt.id);
    assert.ok((await client.nextMessage()).payload.includes(kept));
    assert.equal((await gateway.publish(event)).json().id, receipt.id);
    await client.close();
  });

  test('an idempotency key publishes once, in the body or the header', async () => {
    const client = await listenTo('once');
    const first = (await gateway.publish({ channel: 'once', stream: 'once:stream', id: 'key-1', payload: { n: 1 } })).json();
    const again = (await gateway.publish({ channel: 'once', stream: 'once:stream', id: 'key-1', payload: { n: 1 } })).json();
    assert.equal(first.duplicate, false);
    assert.equal(again.duplicate, true);
    assert.equal(again.id, first.id);
    assert.equal((await entries('once:stream')).length, 1);
    const header = { 'idempotency-key': 'key-2' };
    assert.equal((await gateway.publish({ channel: 'once', payload: { n: 2 } }, header)).json().duplicate, false);
    assert.equal((await gateway.publish({ channel: 'once', payload: { n: 2 } }, header)).json().duplicate, true);
    await redis.publish('once', 'end');
    const seen = [];
    for (let message; (message = await client.nextMessage()).payload !== 'end'; ) seen.push(message.payload);
    assert.deepEqual(seen, ['{"n":1}', '{"n":2}']);
    await client.close();
  });

  test('the same key at the same moment publishes once', async () => {
    const client = await listenTo('race');
    const tries = Array.from({ length: 20 }, () => gateway.publish({ channel: 'race', id: 'race-key', payload: 1 }));
    const receipts = (await Promise.all(tries)).map((response) => response.json());
    assert.equal(receipts.filter((receipt) => !receipt.duplicate).length, 1);
    await redis.publish('race', 'end');
    assert.deepEqual([(await client.nextMessage()).payload, (await client.nextMessage()).payload], ['1', 'end']);
    await client.close();
  });

  test('maxlen trims the stream', async () => {
    const batch = Array.from({ length: 500 }, (_, n) => ({ stream: 'short', maxlen: 10, payload: { n } }));
    assert.equal((await gateway.publish(batch)).status, 200);
    const length = await redis.command('XLEN', 'short');
    assert.ok(length >= 10 && length < 300, `${length} entries`);
  });

  test('an array is answered by an array in its order', async () => {
    const client = await listenTo('array');
    const response = await gateway.publish([
      { channel: 'array', payload: 1 },
      { stream: 'array:stream', payload: { a: 1 } },
      { channel: 'array', payload: 2 },
    ]);
    assert.equal(response.status, 200, response.text);
    const receipts = response.json();
    assert.equal(receipts.length, 3);
    assert.deepEqual(receipts.map((receipt) => receipt.receivers ?? null).slice(0, 1), [1]);
    assert.match(receipts[1].id, /-/);
    assert.deepEqual([(await client.nextMessage()).payload, (await client.nextMessage()).payload], ['1', '2']);
    await client.close();
  });

  test('an array of which some failed is 207 with both', async () => {
    await redis.command('SET', 'string', 'x');
    const response = await gateway.publish([
      { channel: 'mixed', payload: 1 },
      { stream: 'string', payload: { a: 1 } },
      { channel: 'mixed', payload: 2 },
    ]);
    assert.equal(response.status, 207, response.text);
    const receipts = response.json();
    assert.equal(receipts.length, 3);
    assert.equal(receipts[0].channel, 'mixed');
    assert.ok(receipts[1].status >= 400, JSON.stringify(receipts[1]));
    assert.equal(receipts[2].channel, 'mixed');
  });

  test('a form does as well as JSON', async () => {
    const client = await listenTo('form');
    const response = await gateway.request('POST', '/events/publish', {
      body: 'channel=form&payload=%7B%22a%22%3A+1%7D',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    assert.equal(response.status, 200, response.text);
    assert.deepEqual(JSON.parse((await client.nextMessage()).payload), { a: 1 });
    const plain = await gateway.request('POST', '/events/publish', {
      body: 'channel=form&payload=hello+w%C3%B6rld',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    assert.equal(plain.status, 200, plain.text);
    assert.match((await client.nextMessage()).payload, /^"?hello wörld"?$/);
    await client.close();
  });

  test('the prefixes /api and /api/v1 mean the same', async () => {
    for (const prefix of ['/api', '/api/v1'])
      assert.equal((await gateway.request('POST', `${prefix}/events/publish`, { body: { channel: 'p', payload: 1 } })).status, 200);
  });

  describe('is refused with a problem that says what is wrong:', () => {
    const json = { 'content-type': 'application/json' };
    const send = (body, headers = json) => gateway.request('POST', '/events/publish', { body, headers });

    test('no JSON', async () => assertProblem(await send('{"channel":"x",\n "payload": nope}'), 400, /line 2|position|column|byte/i));
    test('an empty body', async () => assertProblem(await send(''), 400));
    test('JSON that is no object', async () => assertProblem(await send('"text"'), 400));
    test('two values', async () => assertProblem(await send('{"channel":"x","payload":1}{}'), 400));
    test('deep nesting', async () => {
      const deep = `{"channel":"x","payload":${'['.repeat(100000)}${']'.repeat(100000)}}`;
      assertProblem(await send(deep), 400);
    });
    test('no payload', async () => assertProblem(await send('{"channel":"x"}'), 400, /payload/));
    test('no target', async () => assertProblem(await send('{"payload":1}'), 400, /channel.*stream.*event/));
    test('a channel that is no text', async () => assertProblem(await send('{"channel":7,"payload":1}'), 400, /channel/));
    test('an empty channel', async () => assertProblem(await send('{"channel":"","payload":1}'), 400, /channel/));
    test('a field nobody knows', async () => assertProblem(await send('{"chanel":"x","channel":"x","payload":1}'), 400, /chanel/));
    test('a maxlen that is no count', async () => assertProblem(await send('{"stream":"s","maxlen":-1,"payload":{}}'), 400, /maxlen/));
    test('which element of an array', async () => {
      const response = await send('[{"channel":"x","payload":1},{"channel":"x"}]');
      assert.ok([207, 400].includes(response.status), response.text);
      assert.match(response.text, /payload/);
    });
    test('a stream whose payload is no object', async () => {
      const response = await send('{"stream":"s","payload":[1]}');
      assert.ok([400, 422].includes(response.status), response.text);
      assertProblem(response, response.status, /payload/);
    });
    test('another content type', async () => assertProblem(await send('{}', { 'content-type': 'text/xml' }), 415, /application\/json/));
    test('a body over the limit', async () => {
      const response = await send(`{"channel":"x","payload":"${'x'.repeat((1 << 20) + 1000)}"}`);
      assertProblem(response, 413);
    });
    test('a body without a length', async () => {
      const connection = new RawConnection(gateway.port);
      connection.send('POST /events/publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\r\n');
      await connection.sees(/^HTTP\/1\.1 411 /);
      await connection.close();
    });
    test('GET', async () => {
      const response = await gateway.get('/events/publish');
      assertProblem(response, 405);
      assert.match(response.headers.allow, /POST/);
    });
  });

  test('an entry of very many fields arrives whole', async () => {
    const payload = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`field${i}`, `value ${i}`]));
    const { status, text } = await gateway.request('POST', '/events/publish', { body: { stream: 'wide', payload } });
    assert.equal(status, 200, text);
    const [[, fields]] = await redis.command('XRANGE', 'wide', '-', '+');
    assert.deepEqual(fields, Object.entries(payload).flat());
  });

  test('nomkstream refuses a stream that is not there, and only that', async () => {
    const publish = (body) => gateway.request('POST', '/events/publish', { body });
    const refused = await publish({ stream: 'not-there', nomkstream: true, payload: { a: 1 } });
    assertProblem(refused, 422, /no such stream/);
    assert.equal(await redis.command('EXISTS', 'not-there'), 0);
    assert.equal((await publish({ stream: 'not-there', payload: { a: 1 } })).status, 200);
    assert.equal((await publish({ stream: 'not-there', nomkstream: true, payload: { a: 2 } })).status, 200);
    assert.equal(await redis.command('XLEN', 'not-there'), 2);
    assertProblem(await publish({ channel: 'x', nomkstream: true, payload: 1 }), 422, /nomkstream/);
    assertProblem(await publish({ stream: 'x', nomkstream: 'yes', payload: { a: 1 } }), 400, /nomkstream/);
  });

  test('a large body within the limit is fine', async () => {
    const client = await listenTo('large');
    const text = 'x'.repeat(1000 * 1000);
    assert.equal((await gateway.publish({ channel: 'large', payload: text })).status, 200);
    assert.equal((await client.nextMessage()).payload.length, text.length + 2);
    await client.close();
  });

  test('Expect: 100-continue is answered before the body', async () => {
    const connection = new RawConnection(gateway.port);
    const body = '{"channel":"x","payload":1}';
    connection.send(
      `POST /events/publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    await connection.sees(/^HTTP\/1\.1 100 /);
    connection.send(body);
    await connection.sees(/^HTTP\/1\.1 200 /m);
    await connection.close();
  });
});

test('a publish outlives a short loss of Redis', async (t) => {
  const { redis, gateway } = await startPair(t);
  await redis.kill();
  const publishing = gateway.publish({ stream: 'kept', payload: { n: 1 } });
  await pause(1500);
  await redis.start();
  const response = await publishing;
  assert.equal(response.status, 200, response.text);
  assert.deepEqual(await redis.command('XRANGE', 'kept', '-', '+'), [[response.json().id, ['n', '1']]]);
});

test('503 with Retry-After when Redis stays away, after its retries', async (t) => {
  const { redis, gateway } = await startPair(t);
  await redis.kill();
  const started = Date.now();
  const response = await gateway.publish({ stream: 'lost', payload: { n: 1 } });
  assert.equal(response.status, 503, response.text);
  assert.match(response.headers['retry-after'], /^\d+$/);
  assert.match(response.headers['content-type'], /^application\/problem\+json/);
  const seconds = (Date.now() - started) / 1000;
  assert.ok(seconds > 6.5 && seconds < 20, `answered after ${seconds} s`);
  await redis.start();
  await until('publishing works again', async () => (await gateway.publish({ channel: 'x', payload: 1 })).status === 200, 15000);
});

test('a caller that leaves while its publish waits harms nobody', async (t) => {
  const { redis, gateway } = await startPair(t);
  await redis.kill();
  const connections = Array.from({ length: 20 }, () => new RawConnection(gateway.port));
  for (const connection of connections)
    connection.send('POST /events/publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{"channel":"x","payload":1}');
  await pause(200);
  for (const connection of connections) connection.socket.resetAndDestroy();
  await Promise.all(connections.map((connection) => connection.closed));
  await redis.start();
  await gateway.ready();
  assert.equal((await gateway.publish({ channel: 'x', payload: 1 })).status, 200);
});
