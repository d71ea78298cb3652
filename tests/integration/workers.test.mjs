// Several threads serve as one: one subscription, one set of figures, and an id that is good in each of them.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startFaultProxy } from '../support/fault_proxy.mjs';
import { sluice, startGateway, startPair } from '../support/gateway.mjs';
import { makeFolder, removeFolder } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

const WORKERS = 4;

/** How many streams each thread has. */
async function clientsByWorker(gateway) {
  const { text } = await gateway.get('/metrics');
  return [...text.matchAll(/^sluice_worker_clients\{worker="(\d+)"\} (\d+)$/gm)].map(([, , count]) => Number(count));
}

describe('four threads', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis, flags: ['--workers', String(WORKERS)] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  const openMany = (count, path) => Promise.all(Array.from({ length: count }, () => gateway.stream(path)));
  const close = (streams) => Promise.all(streams.map((stream) => stream.close()));

  test('there they are', async () => {
    assert.equal(await gateway.metric('sluice_workers'), WORKERS);
    const threads = readdirSync(`/proc/${gateway.pid}/task`).map((id) => readFileSync(`/proc/${gateway.pid}/task/${id}/comm`, 'utf8').trim());
    assert.deepEqual(threads.filter((name) => /^worker-\d$/.test(name)).sort(), ['worker-0', 'worker-1', 'worker-2', 'worker-3']);
  });

  test('share the clients of a channel evenly, on one subscription, and each has the same list', async () => {
    const streams = await openMany(400, '/events/stream?channel=even');
    await Promise.all(streams.map((stream) => stream.seesRetry()));
    const shares = await clientsByWorker(gateway);
    assert.equal(shares.length, WORKERS);
    assert.equal(shares.reduce((sum, share) => sum + share), 400);
    // Chance alone gives each 100 ± 9; six times that is no chance any more.
    for (const share of shares) assert.ok(share > 46 && share < 154, `shares ${shares}`);
    assert.equal(await gateway.metric('sluice_sse_clients'), 400);
    assert.equal(await redis.subscriptions('even'), 1);
    assert.equal(await gateway.metric('sluice_redis_subscriptions'), 1);
    for (let n = 0; n < 50; n++) redis.publish('even', String(n));
    const lists = await Promise.all(streams.map((stream) => stream.take(50)));
    const [first] = lists;
    assert.deepEqual(first.map(({ data }) => Number(data)), Array.from({ length: 50 }, (_, n) => n));
    for (const list of lists) assert.deepEqual(list, first, 'the same events with the same ids');
    await close(streams);
    await until('all have left', async () => (await gateway.metric('sluice_sse_clients')) === 0);
    assert.deepEqual(await clientsByWorker(gateway), [0, 0, 0, 0]);
  });

  test('who comes back to another thread gets what it missed, once', async () => {
    const keeps = await gateway.stream('/events/stream?channel=again');
    await until('a subscription', () => redis.subscriptions('again'));
    await redis.publish('again', 'first');
    const { id } = await keeps.next();
    for (let n = 0; n < 20; n++) await redis.publish('again', String(n));
    const streams = await Promise.all(Array.from({ length: 40 }, () => gateway.stream('/events/stream?channel=again', { 'last-event-id': id })));
    assert.ok((await clientsByWorker(gateway)).filter((share) => share > 0).length > 1, 'in several threads');
    for (const stream of streams) {
      const list = await stream.take(20);
      assert.deepEqual(list.map(({ event, data }) => `${event} ${data}`), Array.from({ length: 20 }, (_, n) => `message ${n}`));
    }
    await redis.publish('again', 'last');
    for (const stream of streams) assert.equal((await stream.next()).data, 'last');
    await close([...streams, keeps]);
  });

  test('newcomers to a batch are shown the same in each, whatever was published before', async () => {
    const state = (progress, status = 'PROCESSING') => JSON.stringify({ status, progress });
    const viewer = await gateway.stream('/batches/same/stream');
    await until('a subscription', () => redis.subscriptions('batch:same'));
    const keeps = await gateway.stream('/events/stream?channel=batch:same');
    await keeps.seesRetry();
    const sent = [state(10), state(100, 'COMPLETED'), state(20), state(30)]; // the end of a run, and another
    for (const payload of sent) await redis.publish('batch:same', payload);
    await keeps.take(sent.length);
    const newcomers = await openMany(40, '/batches/same/stream');
    assert.ok((await clientsByWorker(gateway)).filter((share) => share > 0).length > 1, 'in several threads');
    for (const newcomer of newcomers) assert.equal((await newcomer.next()).data, state(30));
    await redis.publish('batch:same', state(40));
    for (const newcomer of newcomers) assert.equal((await newcomer.next()).data, state(40));
    await close([...newcomers, viewer, keeps]);
  });

  test('what a batch was before it was deleted is shown by none', async () => {
    const state = (progress) => JSON.stringify({ status: 'PROCESSING', progress });
    const keeps = await gateway.stream('/events/stream?channel=batch:gone');
    await until('a subscription', () => redis.subscriptions('batch:gone'));
    await redis.publish('batch:gone', state(10));
    await keeps.next();
    assert.equal((await gateway.request('DELETE', '/batches/gone')).status, 204);
    const newcomers = await openMany(40, '/batches/gone/stream');
    await Promise.all(newcomers.map((stream) => stream.seesRetry()));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await redis.publish('batch:gone', state(20));
    for (const newcomer of newcomers) assert.equal((await newcomer.next()).data, state(20));
    await close([...newcomers, keeps]);
  });

  test('an id of one thread is never from the future in another', async () => {
    // Each has the newest id at once and comes back with it, to any thread, while messages flow.
    let isOver = false;
    const flowing = (async () => {
      for (let n = 0; !isOver; n++) await redis.publish('flow', String(n));
    })();
    const walk = async () => {
      let id, last;
      for (let hop = 0; hop < 15; hop++) {
        const stream = await gateway.stream('/events/stream?channel=flow', id ? { 'last-event-id': id } : {});
        for (const event of await stream.take(5)) {
          assert.equal(event.event, 'message', `a ${event.event} after ${last}: ${event.data}`);
          if (last !== undefined) assert.equal(Number(event.data), last + 1);
          last = Number(event.data);
          id = event.id;
        }
        await stream.close();
      }
    };
    try {
      await Promise.all(Array.from({ length: 8 }, walk));
    } finally {
      isOver = true;
      await flowing;
    }
  });

  test('a batch is read once for all threads', async () => {
    await redis.command('SET', 'batch:progress:once', '{"status":"PROCESSING"}', 'EX', '60');
    const misses = await gateway.metric('sluice_cache_misses_total');
    const answers = await Promise.all(Array.from({ length: 40 }, () => gateway.get('/batches/once')));
    for (const answer of answers) assert.equal(answer.text, '{"status":"PROCESSING"}');
    const later = await Promise.all(Array.from({ length: 40 }, () => gateway.get('/batches/once')));
    for (const answer of later) assert.equal(answer.status, 200);
    const missed = (await gateway.metric('sluice_cache_misses_total')) - misses;
    assert.ok(missed <= 40, 'those who asked while it was read');
    assert.ok((await gateway.metric('sluice_cache_hits_total')) >= 40);
    // What one thread is told to write, every one answers.
    assert.equal((await gateway.request('PUT', '/batches/once', { body: { status: 'COMPLETED' } })).status, 200);
    for (let n = 0; n < 20; n++) assert.match((await gateway.get('/batches/once')).text, /COMPLETED/);
  });

  test('a reload reaches all of them', async (t) => {
    const folder = makeFolder();
    t.after(() => removeFolder(folder));
    const file = join(folder, 'sluice.yml');
    writeFileSync(file, 'workers: 4\nheartbeat: 60s\n');
    const { gateway: other } = await startPair(t, { flags: ['--config', file] });
    const streams = await Promise.all(Array.from({ length: 40 }, () => other.stream('/events/stream?channel=r')));
    await Promise.all(streams.map((stream) => stream.seesRetry()));
    assert.ok((await clientsByWorker(other)).every((share) => share > 0));
    writeFileSync(file, 'workers: 4\nheartbeat: 100ms\n');
    other.process.kill('SIGHUP');
    await until('each hears a heartbeat', () => streams.every((stream) => stream.comments > 0));
    await close(streams);
  });
});

test('a number of threads that cannot be is refused', async () => {
  for (const wrong of ['-1', 'many', '100000']) {
    const { code, output } = await sluice(['serve', '--check', '--workers', wrong]);
    assert.equal(code, 2, wrong);
    assert.match(output, /workers/);
  }
});

test('with one there is no thread but the main one', async (t) => {
  const { gateway } = await startPair(t, { flags: ['--workers', '1'] });
  const threads = readdirSync(`/proc/${gateway.pid}/task`).map((id) => readFileSync(`/proc/${gateway.pid}/task/${id}/comm`, 'utf8').trim());
  assert.deepEqual(threads.filter((name) => /^worker/.test(name)), []);
  assert.deepEqual(await clientsByWorker(gateway), [0]);
});

test('who waits for the thread whose batch it is, is answered when all end', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const proxy = await startFaultProxy(t, redis.socket);
  const gateway = await startGateway({ redis: proxy.url, flags: ['--workers', String(WORKERS)] });
  proxy.stall({ link: 'feed', to: 'gateway' }); // the fence that says when a snapshot was read does not come
  const asked = Array.from({ length: 32 }, (_, n) => [
    gateway.get(`/batches/ending-${n}`),
    gateway.request('PUT', `/batches/ending-${n}`, { body: { n } }),
  ]).flat();
  await until('all are with Redis', async () => Number(/^db0:keys=(\d+)/m.exec(await redis.command('INFO', 'keyspace'))?.[1]) >= 32);
  await gateway.stop(); // a sanitizer looks at what is touched behind its end
  for (const { status } of await Promise.all(asked)) assert.equal(status, 503);
});

test('a viewer is told of what changed while Redis could not say so', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const proxy = await startFaultProxy(t, redis.socket);
  const gateway = await startGateway({ redis: proxy.url, flags: ['--workers', '2'] });
  t.after(() => gateway.stop());
  const state = (status) => JSON.stringify({ status });
  await redis.command('SET', 'batch:progress:unseen', state('PROCESSING'));
  const streams = await Promise.all(Array.from({ length: 8 }, () => gateway.stream('/batches/unseen/stream')));
  for (const stream of streams) assert.equal((await stream.next()).data, state('PROCESSING'));
  proxy.refuse();
  proxy.cut({ link: 'commands' });
  const links = async () => (await redis.command('CLIENT', 'LIST')).match(/name=sluice-(commands|worker-\d)/g);
  await until('nothing is tracked any more', async () => (await links()) === null);
  await redis.command('SET', 'batch:progress:unseen', state('COMPLETED')); // of a worker that published before they came
  proxy.heal();
  for (const stream of streams) assert.equal((await stream.nextWhere(({ event }) => event === 'complete', 15000)).data, state('COMPLETED'));
  for (const stream of streams) assert.equal(stream.events.some(({ event }) => event === 'gap'), false, 'the feed was never lost');
});
