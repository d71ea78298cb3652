// Redis does not let the gateway in, or not do what it wants.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault, faults } from '../support/fault.mjs';
import { startFaultProxy } from '../support/fault_proxy.mjs';
import { startGateway } from '../support/gateway.mjs';
import { Recorder, startRecorded } from '../support/recorder.mjs';
import { startRedis } from '../support/redis.mjs';
import { cpuSeconds } from '../support/vitals.mjs';
import { until } from '../support/wait.mjs';

const EXPECTED = 'clear log line naming the remedy, no hot loop';

/** What two seconds of being refused look like. */
async function assertCalm({ gateway, proxy, pattern }) {
  await until('the log says what to do', () => pattern.test(gateway.log), 10000);
  const busy = cpuSeconds(gateway.pid);
  const attempts = proxy.accepted;
  await pause(2000);
  const lines = gateway.log.split('\n').filter((line) => pattern.test(line)).length;
  assert.ok(proxy.accepted - attempts <= 10 * gateway.linkCount, `${proxy.accepted - attempts} attempts to connect in 2 s`);
  assert.ok(lines <= 4 * gateway.linkCount, `${lines} lines in the log`);
  assert.ok(cpuSeconds(gateway.pid) - busy < 1, 'it does not spin');
  return `${lines} lines in the log, ${proxy.accepted - attempts} attempts to connect in 2 s`;
}

/** A gateway that may not be let in yet. */
async function startOutside(t, credentials) {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const proxy = await startFaultProxy(t, redis.socket);
  const gateway = await startGateway({ redis: `redis://${credentials}127.0.0.1:${proxy.port}`, wait: false });
  t.after(() => gateway.stop());
  return { redis, proxy, gateway };
}

async function letIn(t, report, { redis, gateway }) {
  const start = Date.now();
  await gateway.ready();
  report.recovered(Date.now() - start);
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const recorder = new Recorder(t, { gateway, redis });
  await recorder.open();
  report.saw(await recorder.finish());
}

faults('Redis does not let the gateway in', () => {
  fault('NOAUTH: Redis wants a password now', { row: 8, expected: EXPECTED }, async (t, report) => {
    const { redis, proxy, gateway, recorder } = await startRecorded(t, report);
    await redis.command('CONFIG', 'SET', 'requirepass', 'secret');
    proxy.cut();
    report.saw(await assertCalm({ gateway, proxy, pattern: /NOAUTH.*give user and password in redis_url/ }));
    await redis.command('CONFIG', 'SET', 'requirepass', '');
    report.recovered(await recorder.live());
    report.saw(await recorder.finish());
  });

  fault('WRONGPASS', { row: 8, expected: EXPECTED }, async (t, report) => {
    const { redis, proxy, gateway } = await startOutside(t, 'gateway:mistyped@');
    await redis.command('ACL', 'SETUSER', 'gateway', 'on', '>right', '~*', '&*', '+@all');
    report.saw(await assertCalm({ gateway, proxy, pattern: /WRONGPASS.*check user and password in redis_url/ }));
    assert.doesNotMatch(gateway.log, /mistyped/, 'no password in the log');
    assert.equal((await gateway.get('/readyz')).status, 503);
    await redis.command('ACL', 'SETUSER', 'gateway', '>mistyped');
    await letIn(t, report, { redis, gateway });
  });

  fault('NOPERM: the user may not subscribe', { row: 8, expected: EXPECTED }, async (t, report) => {
    const { redis, proxy, gateway } = await startOutside(t, 'gateway:right@');
    await redis.command('ACL', 'SETUSER', 'gateway', 'on', '>right', '~*', '&*', '+@all', '-subscribe');
    report.saw(await assertCalm({ gateway, proxy, pattern: /NOPERM.*ACL SETUSER <user> \+/ }));
    await redis.command('ACL', 'SETUSER', 'gateway', '+subscribe');
    await letIn(t, report, { redis, gateway });
  });

  fault('NOPERM: the user loses a channel that clients listen to', { row: 8, expected: EXPECTED }, async (t, report) => {
    const { redis, proxy, gateway } = await startOutside(t, 'gateway:right@');
    await redis.command('ACL', 'SETUSER', 'gateway', 'on', '>right', '~*', '&*', '+@all');
    await gateway.ready();
    const client = await gateway.stream('/events/stream?channel=secret');
    const other = await gateway.stream('/events/stream?channel=open.1');
    await until('subscriptions', () => redis.subscriptions('secret'));
    await redis.command('ACL', 'SETUSER', 'gateway', 'resetchannels', '&open.*', '&sluice:*', '&__redis__:invalidate', '&rec.*', '&batch:*', '&new-client*');
    const refused = await client.nextWhere(({ event }) => event !== 'message' && event !== 'gap', 15000);
    assert.equal(refused.event, 'refused');
    await client.end(15000);
    report.saw(`its clients are told (\`event: refused\`) and let go, ${await assertCalm({ gateway, proxy, pattern: /NOPERM.*ACL SETUSER <user> &/ })}`);
    await redis.publish('open.1', 'still');
    assert.equal((await other.nextWhere(({ event }) => event === 'message')).data, 'still');
    await other.close();
    await letIn(t, report, { redis, gateway });
  });
});
