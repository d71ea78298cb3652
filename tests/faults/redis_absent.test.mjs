// Redis is not there: from the start, or since a moment ago.

import assert from 'node:assert/strict';
import { fault } from '../support/fault.mjs';
import { startGateway, startPair } from '../support/gateway.mjs';
import { Recorder } from '../support/recorder.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

fault('Redis absent at start', { row: 1, expected: 'starts, `/readyz` 503, connects when it comes' }, async (t, report) => {
  const redis = await startRedis();
  await redis.kill();
  const gateway = await startGateway({ redis, wait: false });
  t.after(() => gateway.stop().finally(() => redis.stop()));
  await until('it serves', async () => (await gateway.get('/healthz').catch(() => ({}))).status === 200);
  const notReady = await gateway.get('/readyz');
  assert.equal(notReady.status, 503);
  const early = await gateway.stream('/events/stream?channel=early');
  assert.equal(early.status, 200);
  assert.ok(!(await gateway.isReady()));
  report.saw('`/healthz` 200, `/readyz` 503, a stream can be opened');

  await redis.start();
  const start = Date.now();
  await gateway.ready();
  report.recovered(Date.now() - start);
  await until('the early client is served', async () => {
    await redis.publish('early', 'now');
    return early.events.some(({ data }) => data === 'now');
  });
  report.saw('ready when Redis came, the stream gets what is published');
  await early.close();
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
});

fault('Redis killed, comes back', { row: 2, expected: 'streams stay open, `gap` then live again' }, async (t, report) => {
  const { redis, gateway } = await startPair(t, { redis: { args: ['--appendonly', 'yes', '--appendfsync', 'always'] } });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const recorder = new Recorder(t, { gateway, redis });
  await recorder.open();
  const open = await gateway.stream('/events/stream?channel=rec.a');
  await open.next();

  await redis.kill();
  await until('it notices', async () => !(await gateway.isReady()));
  await redis.start();
  report.recovered(await recorder.live());
  const gap = await open.nextWhere(({ event }) => event === 'gap');
  assert.equal(JSON.parse(gap.data).reason, 'redis-reconnect');
  assert.ok(open.isOpen, 'the stream stayed open');
  report.saw('streams stayed open, `gap` (redis-reconnect), live');
  report.saw(await recorder.finish());
  await open.close();
});
