// The clients that people have: curl, an EventSource, and the command of the gateway itself.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EventSource } from 'eventsource';
import { sluice, startGateway, startSluice } from '../support/gateway.mjs';
import { runProcess, startProcess } from '../support/processes.mjs';
import { startRelay } from '../support/relay.mjs';
import { startRedis } from '../support/redis.mjs';
import { until, within } from '../support/wait.mjs';

describe('clients', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis, flags: ['--retry-min', '50ms', '--retry-max', '100ms'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  const subscribed = (channel) => until('a subscription', () => redis.subscriptions(channel));
  const fired = (source, name) => within(5000, `${name} event`, new Promise((resolve) => source.addEventListener(name, resolve, { once: true })));

  test('curl -N reads a stream, curl -d publishes', async () => {
    const reader = startProcess('curl', ['-sN', `${gateway.origin}/events/stream?channel=curl`]);
    await subscribed('curl');
    const form = await runProcess('curl', ['-s', '-d', 'channel=curl', '-d', 'payload={"by":"form"}', `${gateway.origin}/events/publish`]);
    assert.equal(JSON.parse(form.stdout).receivers, 1);
    await reader.sees(/^data: \{"by":"form"\}$/m);
    const json = ['-s', '--json', '{"channel":"curl","payload":{"by":"json"}}', `${gateway.origin}/events/publish`];
    assert.equal(JSON.parse((await runProcess('curl', json)).stdout).channel, 'curl');
    await reader.sees(/^data: \{"by":"json"\}$/m);
    reader.kill('SIGTERM');
    await reader.ends();
  });

  test('curl -T puts a snapshot', async () => {
    const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '-X', 'PUT', '--json', '{"progress":1}', `${gateway.origin}/batches/curl`];
    assert.match((await runProcess('curl', args)).stdout, /^20[0-9]$/);
  });

  test('EventSource gets messages, and after a lost connection what it missed', async () => {
    const relay = await startRelay(gateway.port);
    const source = new EventSource(`http://127.0.0.1:${relay.port}/events/stream?channel=es`);
    const seen = [];
    source.onmessage = (event) => seen.push(event.data);
    const problems = [];
    source.addEventListener('gap', (event) => problems.push(event.data));
    await fired(source, 'open');
    await subscribed('es');
    await redis.publish('es', '1');
    await until('the first', () => seen.length === 1);
    // EventSource comes back by itself, with its last id.
    const reopened = fired(source, 'open');
    relay.cut();
    await redis.publish('es', '2');
    await reopened;
    await redis.publish('es', '3');
    await until('the third', () => seen.length >= 3);
    assert.deepEqual(seen, ['1', '2', '3']);
    assert.deepEqual(problems, []);
    source.close();
    await relay.close();
  });

  test('EventSource on a batch: progress, complete, and no reconnecting after the end', async () => {
    await redis.command('SET', 'batch:progress:es', '{"progress":1}');
    const source = new EventSource(`${gateway.origin}/batches/es/stream`);
    const first = await fired(source, 'progress');
    assert.equal(first.data, '{"progress":1}');
    await subscribed('batch:es');
    const complete = fired(source, 'complete');
    await redis.publish('batch:es', '{"status":"COMPLETED"}');
    assert.equal((await complete).data, '{"status":"COMPLETED"}');
    await until('closed for good', () => source.readyState === EventSource.CLOSED);
    source.close();
  });

  test('sluice publish and sluice tail', async () => {
    const tail = startSluice(['tail', '--url', gateway.origin, 'cli']);
    await subscribed('cli');
    const published = await sluice(['publish', '--url', gateway.origin, 'cli', '{"by":"sluice"}']);
    assert.equal(published.code, 0, published.output);
    await tail.sees(/\{"by":"sluice"\}/);
    tail.kill('SIGTERM');
    await tail.ends();
  });

  test('sluice publish and sluice tail of a stream', async () => {
    for (const n of [1, 2, 3])
      assert.equal((await sluice(['publish', '--url', gateway.origin, '--stream', 'kept', `{"n":${n}}`])).code, 0);
    const tail = await sluice(['tail', '--url', gateway.origin, '--stream', 'kept', '--since', '2', '-n', '2']);
    assert.equal(tail.code, 0, tail.output);
    assert.equal(tail.stdout, '{"n":"2"}\n{"n":"3"}\n');
  });
});
