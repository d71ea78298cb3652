// GET, PUT and DELETE of /batches/<id>: the cache, what makes it forget, and the application behind it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { startGateway, startPair } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

const key = (id) => `batch:progress:${id}`;

describe('snapshots', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  const put = (id, body, headers) => gateway.request('PUT', `/batches/${id}`, { body, headers });

  test('one miss, then hits', async () => {
    await redis.command('SET', key('hits'), '{"progress": 1}');
    const answers = [];
    for (let n = 0; n < 10; n++) answers.push(await gateway.get('/batches/hits'));
    assert.deepEqual(answers.map((answer) => answer.headers['x-cache']), ['MISS', ...Array(9).fill('HIT')]);
    for (const answer of answers) {
      assert.equal(answer.status, 200);
      assert.equal(answer.text, '{"progress": 1}');
      assert.match(answer.headers['content-type'], /^application\/json/);
      assert.match(answer.headers.age, /^\d+$/);
      assert.match(answer.headers.etag, /^(W\/)?"[^"]+"$/);
    }
  });

  test('ETag and 304', async () => {
    await redis.command('SET', key('etag'), '{"progress":1}');
    const { etag } = (await gateway.get('/batches/etag')).headers;
    for (const condition of [etag, `"other", ${etag}`, `W/${etag.replace(/^W\//, '')}`, '*']) {
      const answer = await gateway.get('/batches/etag', { 'if-none-match': condition });
      assert.equal(answer.status, 304, condition);
      assert.equal(answer.text, '');
      assert.equal(answer.headers.etag, etag);
    }
    assert.equal((await gateway.get('/batches/etag', { 'if-none-match': '"other"' })).status, 200);
    await redis.command('SET', key('etag'), '{"progress":2}');
    await until('another answer', async () => (await gateway.get('/batches/etag', { 'if-none-match': etag })).status === 200, 1000);
  });

  test('HEAD is GET without the body', async () => {
    await redis.command('SET', key('head'), '{"progress":1}');
    const answer = await gateway.request('HEAD', '/batches/head');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-length'], '14');
    assert.equal(answer.text, '');
  });

  test('nothing known is 404, and a snapshot that comes is seen at once', async () => {
    const answer = await gateway.get('/batches/absent');
    assert.equal(answer.status, 404);
    assert.match(answer.headers['content-type'], /^application\/problem\+json/);
    await redis.command('SET', key('absent'), '{"progress":1}');
    await until('the snapshot', async () => (await gateway.get('/batches/absent')).status === 200, 1000);
  });

  test("a worker's SET and DEL of the key are seen at once", async () => {
    await redis.command('SET', key('worker'), '{"progress":0}');
    await gateway.get('/batches/worker');
    for (let n = 1; n <= 20; n++) {
      await redis.command('SET', key('worker'), `{"progress":${n}}`);
      await until('the new value', async () => (await gateway.get('/batches/worker')).json().progress === n, 1000);
    }
    await redis.command('DEL', key('worker'));
    await until('its absence', async () => (await gateway.get('/batches/worker')).status === 404, 1000);
  });

  test('FLUSHALL is seen at once', async () => {
    await redis.command('SET', key('flushed'), '{"progress":0}');
    await gateway.get('/batches/flushed');
    await redis.command('FLUSHALL');
    await until('its absence', async () => (await gateway.get('/batches/flushed')).status === 404, 1000);
  });

  test('a live message refreshes it', async () => {
    await redis.command('SET', key('live'), '{"progress":0}');
    const viewer = await gateway.stream('/batches/live/stream');
    await viewer.next();
    await redis.publish('batch:live', '{"progress":1}');
    await viewer.next();
    const answer = await gateway.get('/batches/live');
    assert.equal(answer.json().progress, 1);
    assert.equal(answer.headers['x-cache'], 'HIT');
    await viewer.close();
  });

  test('PUT stores, and GET has it', async () => {
    const body = '{"status": "PROCESSING", "progress": 3}';
    const answer = await put('stored', body, { 'content-type': 'application/json' });
    assert.ok([200, 201, 204].includes(answer.status), answer.text);
    assert.deepEqual(JSON.parse(await redis.command('GET', key('stored'))), JSON.parse(body));
    assert.ok((await redis.command('PTTL', key('stored'))) > 0, 'it expires in Redis');
    const got = await gateway.get('/batches/stored');
    assert.deepEqual(got.json(), JSON.parse(body));
    assert.equal(got.headers['x-cache'], 'HIT');
  });

  test('PUT refuses what is no JSON', async () => {
    const answer = await put('refused', 'nope', { 'content-type': 'application/json' });
    assert.equal(answer.status, 400);
    assert.equal((await gateway.get('/batches/refused')).status, 404);
  });

  test('DELETE drops it in Redis and in the cache', async () => {
    await put('deleted', { progress: 1 });
    const answer = await gateway.request('DELETE', '/batches/deleted');
    assert.ok([200, 204].includes(answer.status), answer.text);
    assert.equal((await gateway.get('/batches/deleted')).status, 404);
    assert.equal(await redis.command('EXISTS', key('deleted')), 0);
    assert.ok([200, 204, 404].includes((await gateway.request('DELETE', '/batches/deleted')).status));
  });

  test('the prefixes mean the same', async () => {
    await redis.command('SET', key('prefixed'), '{"progress":1}');
    for (const prefix of ['/api', '/api/v1']) assert.equal((await gateway.get(`${prefix}/batches/prefixed`)).status, 200);
  });

  test('an id in percent-encoding is the id', async () => {
    await redis.command('SET', key('a b/c'), '{"progress":1}');
    assert.equal((await gateway.get('/batches/a%20b%2Fc')).status, 200);
  });
});

test('50 GETs at once ask Redis once', async (t) => {
  const { redis, gateway } = await startPair(t);
  await redis.command('SET', key('crowd'), '{"progress":1}');
  await redis.command('CONFIG', 'RESETSTAT');
  const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.get('/batches/crowd')));
  for (const answer of answers) assert.equal(answer.text, '{"progress":1}');
  const calls = /cmdstat_get:calls=(\d+)/.exec(await redis.command('INFO', 'commandstats'));
  assert.ok(Number(calls[1]) <= 2, calls[0]);
});

test('the TTL is a setting, and ends what is cached', async (t) => {
  const ttl = ['--snapshot-ttl', '300ms', '--snapshot-ttl-moving', '300ms', '--snapshot-ttl-idle', '300ms'];
  const { redis, gateway } = await startPair(t, { flags: ttl });
  await redis.command('SET', key('short'), '{"progress":1}');
  assert.equal((await gateway.get('/batches/short')).headers['x-cache'], 'MISS');
  assert.equal((await gateway.get('/batches/short')).headers['x-cache'], 'HIT');
  await until('a miss after the TTL', async () => (await gateway.get('/batches/short')).headers['x-cache'] === 'MISS', 3000);
});

test('the TTL of PUT is what Redis gets', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--snapshot-ttl', '7s', '--snapshot-ttl-moving', '7s', '--snapshot-ttl-idle', '7s'] });
  await gateway.request('PUT', '/batches/b', { body: { progress: 1 } });
  const milliseconds = await redis.command('PTTL', key('b'));
  assert.ok(milliseconds > 5000 && milliseconds <= 7000, String(milliseconds));
});

test('the cache is bounded', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--snapshot-entries-max', '10'] });
  for (let n = 0; n < 40; n++) {
    await redis.command('SET', key(n), `{"progress":${n}}`);
    assert.equal((await gateway.get(`/batches/${n}`)).json().progress, n);
  }
  assert.ok((await gateway.metric('sluice_cache_entries')) <= 10);
});

test('Redis away: what is cached is served, what is not is 503', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--snapshot-ttl', '60s'] });
  await redis.command('SET', key('known'), '{"progress":1}');
  await gateway.get('/batches/known');
  await redis.kill();
  await until('it notices', async () => !(await gateway.isReady()));
  assert.equal((await gateway.get('/batches/known')).status, 200);
  const answer = await gateway.get('/batches/unknown');
  assert.equal(answer.status, 503);
  assert.match(answer.headers['retry-after'], /^\d+$/);
  assert.equal((await gateway.request('PUT', '/batches/x', { body: { a: 1 } })).status, 503);
});

describe('with an origin', () => {
  let redis, gateway, origin;
  const asked = [];
  let answer;
  before(async () => {
    origin = http.createServer((request, response) => {
      asked.push(request.url);
      answer(request, response);
    });
    origin.listen(0, '127.0.0.1');
    await once(origin, 'listening');
    redis = await startRedis();
    const url = `http://127.0.0.1:${origin.address().port}/internal/{id}`;
    gateway = await startGateway({ redis, flags: ['--origin-url', url, '--origin-timeout', '500ms'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
    origin.closeAllConnections();
    origin.close();
  });

  const json = (value) => (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };

  test('a miss asks it once for all who wait', async () => {
    let release;
    answer = (request, response) => (release = () => json({ progress: 5 })(request, response));
    const waiting = Array.from({ length: 20 }, () => gateway.get('/batches/crowd'));
    await until('the request', () => release);
    release();
    for (const got of await Promise.all(waiting)) {
      assert.equal(got.status, 200, got.text);
      assert.equal(got.json().progress, 5);
    }
    assert.deepEqual(asked.filter((url) => url.includes('crowd')), ['/internal/crowd']);
    assert.equal((await gateway.get('/batches/crowd')).headers['x-cache'], 'HIT');
  });

  test('its 404 passes', async () => {
    answer = (_request, response) => response.writeHead(404).end('no such batch');
    assert.equal((await gateway.get('/batches/nowhere')).status, 404);
  });

  test('its failure and its silence are a problem of the gateway', async () => {
    answer = (_request, response) => response.writeHead(500).end();
    const failed = await gateway.get('/batches/failing');
    assert.ok([502, 503].includes(failed.status), String(failed.status));
    answer = () => {};
    const silent = await gateway.get('/batches/silent');
    assert.ok([502, 503, 504].includes(silent.status), String(silent.status));
    answer = json({ progress: 1 });
    assert.equal((await gateway.get('/batches/failing')).status, 200);
  });

  test('the id is encoded', async () => {
    answer = json({ progress: 1 });
    await gateway.get('/batches/a%2F..%2Fb%3Fc');
    assert.ok(asked.includes('/internal/a%2F..%2Fb%3Fc'), asked.join(' '));
  });

  test('what Redis has is not asked of it', async () => {
    await redis.command('SET', key('inredis'), '{"progress":9}');
    assert.equal((await gateway.get('/batches/inredis')).json().progress, 9);
    assert.ok(!asked.includes('/internal/inredis'));
  });

  test('a viewer gets its snapshot too', async () => {
    answer = json({ status: 'PROCESSING', progress: 40 });
    const stream = await gateway.stream('/batches/viewed/stream');
    assert.deepEqual(JSON.parse((await stream.next()).data), { status: 'PROCESSING', progress: 40 });
    await stream.close();
  });
});
