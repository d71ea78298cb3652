// Redis is not there: from the start, or since a moment ago.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault } from '../support/fault.mjs';
import { startGateway } from '../support/gateway.mjs';
import { startRecorded } from '../support/recorder.mjs';
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
  const { redis, gateway, recorder } = await startRecorded(t, report, { isDirect: true });
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

fault('Redis killed over and over', { expected: 'never silently stale' }, async (t, report) => {
  const { redis, recorder } = await startRecorded(t, report, { isDirect: true });
  for (let round = 0; round < 4; round++) {
    await pause(Math.random() * 300);
    await redis.restart();
    if (round % 2) await recorder.live();
  }
  report.recovered(await recorder.live());
  report.saw(await recorder.finish());
});
