// Redis has had enough: of clients, or of a client that does not read.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault, faults } from '../support/fault.mjs';
import { startRecorded } from '../support/recorder.mjs';
import { until } from '../support/wait.mjs';
import { cpuSeconds } from '../support/vitals.mjs';

faults('Redis has had enough', () => {
  fault('`maxclients` reached', { row: 6, expected: 'backs off, clear log, no abort' }, async (t, report) => {
    const { redis, proxy, gateway, recorder } = await startRecorded(t, report);
    await redis.command('CONFIG', 'SET', 'maxclients', 1);
    const before = proxy.accepted;
    proxy.listensFirst = true;
    proxy.cut();
    await until('the log says what to do', () => /max number of clients.*raise maxclients/.test(gateway.log));
    const busy = cpuSeconds(gateway.pid);
    await pause(2000);
    const attempts = proxy.accepted - before;
    const lines = gateway.log.split('\n').filter((line) => /max number of clients/.test(line)).length;
    assert.ok(attempts <= 10 * gateway.linkCount, `${attempts} attempts to connect`);
    assert.ok(lines <= 3 * gateway.linkCount, `${lines} lines in the log`);
    assert.ok(cpuSeconds(gateway.pid) - busy < 1, 'it does not spin');
    report.saw(`the log says \`raise maxclients\` (${lines} lines), ${attempts} attempts in 2 s`);
    await redis.command('CONFIG', 'SET', 'maxclients', 1000);
    proxy.listensFirst = false;
    report.recovered(await recorder.live());
    report.saw(await recorder.finish());
  });

  fault('cut by the output-buffer limit', { row: 7, expected: '`gap`, metric' }, async (t, report) => {
    const args = ['--client-output-buffer-limit', 'pubsub 1mb 512kb 1', '--appendonly', 'yes'];
    const { redis, gateway, recorder } = await startRecorded(t, report, { isDirect: true, redis: { args } });
    const flooded = await gateway.stream('/events/stream?channel=flood');
    await until('a subscription', () => redis.subscriptions('flood'));
    const before = await gateway.metric('sluice_gaps_total{reason="redis-reconnect"}');
    const other = await redis.connect();
    gateway.process.kill('SIGSTOP');
    t.after(() => gateway.process.kill('SIGCONT'));
    const payload = Buffer.alloc(64 * 1024, 'x');
    await until('Redis cuts the feed', async () => {
      for (let i = 0; i < 50; i++) await other.command('PUBLISH', 'flood', payload);
      return (await redis.subscriptions('flood')) === 0;
    });
    gateway.process.kill('SIGCONT');
    report.recovered(await recorder.live());
    const gap = await flooded.nextWhere(({ event }) => event === 'gap');
    assert.equal(JSON.parse(gap.data).reason, 'redis-reconnect');
    const counted = (await gateway.metric('sluice_gaps_total{reason="redis-reconnect"}')) - before;
    assert.ok(counted >= 5, `${counted} gaps counted`);
    assert.ok((await gateway.metric('sluice_redis_reconnects_total')) >= 1);
    report.saw(`\`gap\`, ${counted} counted in sluice_gaps_total`);
    report.saw(await recorder.finish());
    await Promise.all([flooded.close(), other.close()]);
  });
});
