// What an operator sees: health, metrics and the log.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGateway, startPair } from '../support/gateway.mjs';
import { freePort, runProcess } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

describe('metrics', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis });
    // Something to count.
    const stream = await gateway.stream('/events/stream?channel=x');
    await until('a subscription', () => redis.subscriptions('x'));
    await gateway.publish({ channel: 'x', payload: { a: 1 } });
    await stream.next();
    await redis.command('SET', 'batch:progress:b', '{}');
    for (let n = 0; n < 4; n++) await gateway.get('/batches/b');
    await stream.close();
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  const names = `sluice_sse_clients sluice_sse_events_total sluice_sse_bytes_total sluice_sse_latency_seconds sluice_publish_seconds
    sluice_events_published_total sluice_events_consumed_total sluice_cache_hits_total sluice_cache_misses_total sluice_cache_hit_ratio
    sluice_redis_up sluice_redis_reconnects_total sluice_redis_subscriptions sluice_gaps_total sluice_slow_clients_total
    sluice_http_requests_total sluice_build_info process_cpu_seconds_total process_open_fds process_resident_memory_bytes`;

  test('the promised names are there', async () => {
    const { text, headers } = await gateway.get('/metrics');
    assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
    for (const name of names.split(/\s+/)) {
      assert.match(text, new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`, 'm'), name);
      assert.match(text, new RegExp(`^${name}(_bucket|_sum|_count)?(\\{.*\\})? [0-9.e+-]+$`, 'm'), name);
    }
    for (const reason of ['redis-reconnect', 'trimmed', 'slow-consumer', 'restart', 'unknown-id'])
      assert.ok(text.includes(`sluice_gaps_total{reason="${reason}"}`), reason);
  });

  test('promtool has nothing to say', async () => {
    const { text } = await gateway.get('/metrics');
    const { code, output } = await runProcess('promtool', ['check', 'metrics'], { input: text });
    assert.equal(output, '');
    assert.equal(code, 0);
  });

  test('they count what happened', async () => {
    assert.equal(await gateway.metric('sluice_redis_up'), 1);
    assert.equal(await gateway.metric('sluice_events_published_total'), 1);
    assert.ok((await gateway.metric('sluice_events_consumed_total')) >= 1);
    assert.ok((await gateway.metric('sluice_sse_events_total')) >= 1);
    assert.ok((await gateway.metric('sluice_sse_bytes_total')) > 10);
    assert.ok((await gateway.metric('sluice_sse_latency_seconds_count')) >= 1);
    assert.equal(await gateway.metric('sluice_publish_seconds_count'), 1);
    assert.equal(await gateway.metric('sluice_cache_hits_total'), 3);
    assert.equal(await gateway.metric('sluice_cache_misses_total'), 1);
    assert.equal(await gateway.metric('sluice_cache_hit_ratio'), 0.75);
    const { text } = await gateway.get('/metrics');
    assert.match(text, /^sluice_http_requests_total\{.*code="200".*\} \d+$/m);
  });

  test('the JSON summary has the fields of the application before', async () => {
    const response = await gateway.get('/api/metrics', { accept: 'application/json' });
    assert.match(response.headers['content-type'], /^application\/json/);
    const { redis: cache, sse } = response.json();
    assert.equal(cache.cacheHits, 3);
    assert.equal(cache.cacheMisses, 1);
    assert.equal(cache.cacheTotal, 4);
    assert.equal(cache.cacheHitRatio, 0.75);
    assert.ok(cache.pubSubEvents >= 1);
    assert.ok(sse.sseEventCount >= 1);
    assert.equal(typeof sse.sseAvgLatencyMs, 'number');
  });

  test('a scraper gets text whatever else it accepts', async () => {
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    assert.match((await gateway.get('/metrics', { accept })).headers['content-type'], /^text\/plain/);
  });

  test('who names JSON first gets it, as the HTTP libraries of pages do', async () => {
    const accept = 'application/json, text/plain, */*';
    assert.match((await gateway.get('/metrics', { accept })).headers['content-type'], /^application\/json/);
  });
});

describe('health', () => {
  test('alive and ready with Redis, alive and not ready without, ready when it is back', async (t) => {
    const { redis, gateway } = await startPair(t);
    assert.equal((await gateway.get('/healthz')).status, 200);
    assert.equal((await gateway.get('/readyz')).status, 200);
    await redis.kill();
    await until('not ready', async () => (await gateway.get('/readyz')).status === 503);
    assert.equal((await gateway.get('/healthz')).status, 200);
    assert.equal(await gateway.metric('sluice_redis_up'), 0);
    await redis.start();
    await gateway.ready(15000);
    assert.equal(await gateway.metric('sluice_redis_up'), 1);
  });

  test('it starts without Redis and becomes ready when Redis comes', async (t) => {
    const port = await freePort();
    const gateway = await startGateway({ redis: `redis://127.0.0.1:${port}`, wait: false });
    t.after(() => gateway.stop());
    await until('alive', async () => {
      try {
        return (await gateway.get('/healthz')).status === 200;
      } catch {
        return false;
      }
    });
    assert.equal((await gateway.get('/readyz')).status, 503);
    const redis = await startRedis({ args: ['--port', String(port)] });
    t.after(() => redis.stop());
    await gateway.ready(15000);
  });
});

describe('the log', () => {
  const secretQuery = 'channel=x&ticket=s3cret-ticket';

  test('as text: one line a request, without secrets', async (t) => {
    const { gateway } = await startPair(t);
    await gateway.get(`/healthz?${secretQuery}`, { 'user-agent': 'probe\u00e9"quoted"' });
    const [line] = await gateway.process.sees(/^.*\/healthz.*$/m);
    assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info /);
    assert.match(line, /\b200\b/);
    assert.doesNotMatch(gateway.log, /s3cret/);
  });

  test('as JSON: every line is an object', async (t) => {
    const { redis, gateway } = await startPair(t, { flags: ['--log-format', 'json'] });
    await gateway.get('/nothing/"quoted"/%0a%00');
    const stream = await gateway.stream('/events/stream?channel=x');
    await until('a subscription', () => redis.subscriptions('x'));
    await stream.close();
    await gateway.process.sees(/\/nothing/);
    const lines = gateway.process.output.split('\n').slice(0, -1).map((line) => JSON.parse(line));
    assert.ok(lines.length >= 2);
    for (const line of lines) {
      assert.match(line.time, /^\d{4}-\d\d-\d\dT/);
      assert.ok(line.level);
    }
  });

  test('the password of Redis is never in it', async (t) => {
    const redis = await startRedis({ tcp: true });
    t.after(() => redis.stop());
    await redis.command('ACL', 'SETUSER', 'gateway', 'on', '>hunter2', '~*', '&*', '+@all');
    const gateway = await startGateway({ redis: `redis://gateway:hunter2@127.0.0.1:${redis.port}`, flags: ['--log-level', 'debug'] });
    t.after(() => gateway.stop());
    await redis.command('ACL', 'SETUSER', 'gateway', '>other', '<hunter2');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await gateway.process.sees(/WRONGPASS|password/i);
    assert.doesNotMatch(gateway.log, /hunter2/);
  });

  test('access_log off', async (t) => {
    const { gateway } = await startPair(t, { flags: ['--access-log', 'off'] });
    await gateway.get('/healthz?marker');
    await gateway.get('/healthz');
    assert.doesNotMatch(gateway.log, /\/healthz/);
  });
});
