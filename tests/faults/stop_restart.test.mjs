// The gateway ends, and comes back, with thousands of clients.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Crowd, crowdSize } from '../support/crowd.mjs';
import { entriesOf } from '../support/durable.mjs';
import { fault } from '../support/fault.mjs';
import { startGateway } from '../support/gateway.mjs';
import { RawConnection } from '../support/raw.mjs';
import { startRedis } from '../support/redis.mjs';
import { HAS_SANITIZER } from '../support/vitals.mjs';
import { SLOWNESS, until } from '../support/wait.mjs';

async function start(t, flags) {
  const redis = await startRedis();
  const gateways = [];
  t.after(async () => {
    for (const gateway of gateways) await gateway.stop();
    await redis.stop();
  });
  const startOne = async (port) => {
    gateways.push(await startGateway({ redis, port, flags: ['--access-log', 'off', ...flags] }));
    return gateways.at(-1);
  };
  return { redis, startOne };
}

/** LeakSanitizer's finding is an exit status of its own. */
const LEAKS = HAS_SANITIZER ? 'nothing leaked' : '`./dev faults --asan` looks for leaks';

const spread = (numbers) => [Math.min(...numbers), Math.max(...numbers)];

async function sigterm(t, report, count) {
  const { redis, startOne } = await start(t, ['--drain-timeout', '4s']);
  const gateway = await startOne();
  report.leavesNothing();
  const crowd = new Crowd(t, gateway.port);
  const clients = [
    ...(await crowd.add(count / 2, (n) => `/batches/b${n % 20}/stream`)),
    ...(await crowd.add(count / 4, '/events/stream?channel=x')),
    ...(await crowd.add(count / 4, '/events/stream?stream=s')),
  ];
  await until('all clients', async () => (await gateway.metric('sluice_sse_clients')) === clients.length, 20000);
  await redis.publish('x', 'all are there');
  const open = new RawConnection(gateway.port);
  open.send('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n');
  await open.sees(/^HTTP\/1\.1 200 /);
  const began = Date.now();
  gateway.process.kill('SIGTERM');
  await gateway.process.sees(/stopping/);
  open.send('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n');
  await until('503', () => /HTTP\/1\.1 503 /.test(open.text));
  const { code } = await gateway.process.ends(15000);
  const took = Date.now() - began;
  assert.equal(code, 0, gateway.log.slice(-2000));
  await until('all are let go', () => clients.every(({ closedAt }) => closedAt));
  const [first, last] = spread(clients.map(({ closedAt }) => closedAt - began));
  const untold = clients.filter(({ retriesSeen }) => retriesSeen < 2).length;
  const retries = spread(clients.map(({ retry }) => retry));
  report.recovered(took);
  report.saw(`${clients.length} clients let go between ${first} and ${last} ms, ${untold} of them not told when to come back, the others after ${retries[0]} to ${retries[1]} ms; not ready at once; exit 0 after ${took} ms of 4,000; ${LEAKS}`);
  assert.equal(untold, 0);
  assert.ok(last - first > 1500, `between ${first} and ${last} ms`);
  assert.ok(took < 4500 * SLOWNESS, `it took ${took} ms`);
}

const STOP = { row: 30, expected: 'not ready, clients told `retry` and let go, staggered, within the deadline, exit 0, no leak' };
fault('SIGTERM with 5,000 clients', { ...STOP, seconds: 30 }, (t, report) => sigterm(t, report, crowdSize(5000)));
fault('SIGTERM with 400 clients', STOP, (t, report) => sigterm(t, report, 400));

async function restart(t, report, count) {
  const { redis, startOne } = await start(t, ['--drain-timeout', '2s', '--retry-min', '500ms', '--retry-max', '3s']);
  const first = await startOne();
  await redis.command('SET', 'batch:progress:b', '{"progress":0}');
  const crowd = new Crowd(t, first.port, { comesBack: true });
  const durable = await crowd.add(count * 0.8, '/events/stream?stream=s');
  const viewers = await crowd.add(count * 0.2, '/batches/b/stream');
  await redis.command('XADD', 's', '*', 'n', 0);
  let isWriting = true;
  const writing = (async () => {
    for (let n = 1; isWriting; n++) {
      await redis.command('XADD', 's', '*', 'n', n);
      await redis.command('SET', 'batch:progress:b', JSON.stringify({ progress: n }));
      await redis.publish('batch:b', JSON.stringify({ progress: n }));
      await pause(count > 1000 ? 250 : 60);
    }
  })();
  await pause(600);
  first.process.kill('SIGTERM');
  assert.equal((await first.process.ends(15000)).code, 0);
  await redis.command('SET', 'batch:progress:b', JSON.stringify({ progress: 1000000 })); // nobody is there to hear of it
  const began = Date.now();
  const second = await startOne(first.port);
  await until('all are back', () => crowd.members.every(({ isServed }) => isServed), 20000);
  const back = Date.now() - began;
  const joined = crowd.members.map(({ connections }) => connections - 1);
  await pause(300);
  isWriting = false;
  await writing;
  const entries = (await entriesOf(redis, 's')).map((entry) => JSON.stringify({ n: entry.split(' ')[1] }));
  await until('everybody has the last entry', () => durable.every(({ events }) => events.at(-1) === entries.at(-1)), 15000);
  const latest = await redis.command('GET', 'batch:progress:b');
  await until('every viewer has the latest state', () => viewers.every(({ events }) => events.at(-1) === latest), 5000);
  // Each durable list is all there is from its first event on: nothing lost, nothing twice, in order.
  const wrong = durable.filter(({ events }) => JSON.stringify(events) !== JSON.stringify(entries.slice(-events.length)) || events.length < entries.length - 1);
  const fresh = viewers.filter(({ events }) => events.length > 0).length;
  await report.watch({ gateway: second, publish: (...message) => redis.publish(...message), memoryTolerance: 2 ** 30 });
  crowd.leave();
  report.recovered(back);
  report.saw(`${crowd.members.length} clients back after ${back} ms (retry 0.5 to 3 s), with ${Math.max(...joined)} tries at most; ${durable.length} lists of ${entries.length} entries, ${wrong.length} of them wrong; ${fresh} viewers have the latest state`);
  assert.equal(wrong.length, 0, JSON.stringify(wrong[0]?.events.slice(0, 20)));
  assert.equal(fresh, viewers.length);
  assert.ok(back < 8000 * SLOWNESS, `${back} ms`);
}

const RESTART = { expected: 'all are back in seconds, jittered; nobody misses an entry; viewers of batches have a fresh snapshot' };
fault('restart with 5,000 clients', { ...RESTART, seconds: 45 }, (t, report) => restart(t, report, crowdSize(5000)));
fault('restart with 400 clients', RESTART, (t, report) => restart(t, report, 400));
