// Many at once: who come and go, and who all come back.

import assert from 'node:assert/strict';
import { Crowd, crowdSize } from '../support/crowd.mjs';
import { fault, RUNS_ALL } from '../support/fault.mjs';
import { startGateway, startPair } from '../support/gateway.mjs';
import { RawConnection } from '../support/raw.mjs';
import { Recorder } from '../support/recorder.mjs';
import { startRedis } from '../support/redis.mjs';
import { isBackAt, processOf, vitalsOf } from '../support/vitals.mjs';
import { SLOWNESS, until } from '../support/wait.mjs';

const STORM = RUNS_ALL ? 10000 : 2000;
const CROWD = RUNS_ALL ? 10000 : 1500;

/** One client that listens to a channel, a pattern and a stream of its own choice and goes as soon as it is greeted, or before. */
async function comeAndGo(gateway, n) {
  const connection = new RawConnection(gateway.port);
  const topics = `channel=storm.${n % 50}&channel=storm.${(n * 7) % 50}&pattern=storm.${n % 10}*&stream=storm-${n % 5}`;
  connection.send(`GET /events/stream?${topics} HTTP/1.1\r\nHost: x\r\n\r\n`);
  if (n % 3) await connection.sees(/^retry:/m, 20000);
  if (n % 2) connection.socket.resetAndDestroy();
  await connection.close();
}

fault('storm of subscribe and unsubscribe', { row: 14, expected: 'ends with `PUBSUB NUMSUB` right' }, async (t, report) => {
  const { redis, gateway } = await startPair(t, { flags: ['--subscription-linger', '50ms'] });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const stays = await gateway.stream('/events/stream?channel=storm.1');
  let next = 0;
  const start = Date.now();
  await Promise.all(Array.from({ length: 60 }, async () => {
    while (next < STORM) await comeAndGo(gateway, next++);
  }));
  const storm = Date.now();
  const names = Array.from({ length: 50 }, (_, i) => `storm.${i}`);
  const wanted = names.flatMap((name) => [name, name === 'storm.1' ? 1 : 0]);
  const counts = () => redis.command('PUBSUB', 'NUMSUB', ...names);
  await until('PUBSUB NUMSUB is right', async () => JSON.stringify(await counts()) === JSON.stringify(wanted), 10000);
  await until('PUBSUB NUMPAT is 0', async () => (await redis.command('PUBSUB', 'NUMPAT')) === 0, 10000);
  report.recovered(Date.now() - storm);
  assert.equal(await gateway.metric('sluice_redis_subscriptions'), 1);
  assert.equal(await gateway.metric('sluice_sse_clients'), 1);
  await redis.publish('storm.1', 'still');
  assert.equal((await stays.nextWhere(({ event }) => event === 'message')).data, 'still');
  report.saw(`${STORM} clients in ${((storm - start) / 1000).toFixed(1)} s; who stayed is served, NUMSUB, NUMPAT and the gauges are right`);
  await stays.close();
});

fault(`${CROWD} clients reconnect at once`, { row: 15, expected: 'all back in seconds, jittered, no error', timeout: 180000 }, async (t, report) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const [low, high] = RUNS_ALL ? [1000, 5000] : [300, 1500];
  const flags = ['--retry-min', `${low}ms`, '--retry-max', `${high}ms`, '--access-log', 'off'];
  let gateway = await startGateway({ redis, flags });
  t.after(() => gateway.stop());
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const before = vitalsOf(gateway.pid);
  report.watched = []; // that process ends
  const crowd = new Crowd(t, gateway.port, { comesBack: true });
  await crowd.add(CROWD, '/events/stream?channel=crowd');
  await redis.publish('crowd', 'before');
  await until('all have it', () => crowd.members.every(({ events }) => events.length === 1), 20000);

  const { port } = gateway;
  await gateway.stop();
  const start = Date.now();
  gateway = await startGateway({ redis, flags, port });
  await until('all are back', () => crowd.members.every(({ isServed }) => isServed), 60000);
  const seconds = (Date.now() - start) / 1000;
  report.recovered(Date.now() - start);
  const arrivals = crowd.members.map(({ servedAt }) => servedAt);
  const spread = Math.max(...arrivals) - Math.min(...arrivals);
  const bins = new Map();
  for (const at of arrivals) bins.set(Math.floor(at / 100), (bins.get(Math.floor(at / 100)) ?? 0) + 1);
  const fullest = Math.max(...bins.values()) / CROWD;
  assert.ok(seconds < ((2 * high) / 1000 + 10) * SLOWNESS, `all were back after ${seconds} s`);
  assert.ok(spread > (high - low) / 3, `they came within ${spread} ms`);
  assert.ok(fullest < 0.5, `${(100 * fullest).toFixed(0)} % came within 100 ms`);
  const refused = crowd.problems.get('ECONNREFUSED') ?? 0;
  crowd.problems.delete('ECONNREFUSED'); // nobody listened for a moment: they try again
  assert.deepEqual([...crowd.problems], [], 'no status but 200, no reset');
  await redis.publish('crowd', 'after');
  await until('all have it', () => crowd.members.every(({ events, gaps }) => events.length === 2 && gaps.join() === 'restart'), 20000);
  report.saw(`spread over ${(spread / 1000).toFixed(1)} s, at most ${(100 * fullest).toFixed(0)} % in 100 ms; ${refused} found nobody listening once; `
    + 'each was told `gap` (restart) and has what came then');
  crowd.leave();
  // The one that they came back to is where the one was that had not seen them.
  const after = await isBackAt({ ...before, ...processOf(gateway.pid) }, { milliseconds: 20000 });
  report.saw(`when all had left, ${((after.memory - before.memory) / 2 ** 20).toFixed(1)} MiB more than before them`);
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
});

fault('the gateway is killed, another takes its place', { expected: 'never silently stale' }, async (t, report) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  let gateway = await startGateway({ redis });
  t.after(() => gateway.stop());
  const recorder = new Recorder(t, { gateway, redis });
  await recorder.open();
  for (let round = 0; round < 3; round++) {
    gateway.process.kill('SIGKILL');
    await gateway.process.exited;
    gateway = await startGateway({ redis, port: gateway.port });
    report.recovered(await recorder.live());
  }
  report.saw(await recorder.finish());
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
});
