// Redis is there and says nothing: frozen, asleep, held up by a script, loading its data.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault, faults } from '../support/fault.mjs';
import { startRecorded } from '../support/recorder.mjs';
import { until } from '../support/wait.mjs';

faults('Redis says nothing', () => {
  fault('Redis frozen', { row: 3, expected: 'noticed in 15 s, heartbeats to clients go on', seconds: 20 }, async (t, report) => {
    const { redis, gateway, recorder } = await startRecorded(t, report, { isDirect: true, flags: ['--heartbeat', '1s'] });
    const idle = await gateway.stream('/events/stream?channel=idle');
    redis.process.kill('SIGSTOP');
    t.after(() => redis.process.kill('SIGCONT'));
    const start = Date.now();
    const heartbeats = idle.comments;
    await until('the silence is noticed', async () => /link=feed.*no answer to PING/.test(gateway.log), 16000);
    const noticed = (Date.now() - start) / 1000;
    const seen = idle.comments - heartbeats;
    assert.ok(noticed <= 15.5, `noticed after ${noticed} s`);
    assert.ok(seen >= noticed * 0.7, `${seen} heartbeats in ${noticed} s`);
    assert.ok(!(await gateway.isReady()));
    report.saw(`noticed after ${noticed.toFixed(1)} s, ${seen} heartbeats of 1 s meanwhile, \`/readyz\` 503`);
    redis.process.kill('SIGCONT');
    report.recovered(await recorder.live());
    report.saw(await recorder.finish());
    await idle.close();
  });

  fault('Redis asleep for 2 s', { row: 5, expected: 'backs off, recovers' }, async (t, report) => {
    const args = ['--enable-debug-command', 'yes', '--appendonly', 'yes'];
    const { redis, gateway, recorder } = await startRecorded(t, report, { isDirect: true, redis: { args } });
    const other = await redis.connect();
    await other.command('DEBUG', 'SLEEP', 2);
    report.recovered(await recorder.live());
    assert.equal(await gateway.metric('sluice_redis_reconnects_total'), 0);
    report.saw('nothing was dropped');
    report.saw(await recorder.finish());
    assert.equal(recorder.gapCount, 0, 'a pause that no connection was lost over is no gap');
    await other.close();
  });

  fault('Redis held up by a script (BUSY)', { row: 5, expected: 'backs off, recovers' }, async (t, report) => {
    const args = ['--lua-time-limit', '100', '--appendonly', 'yes'];
    const { redis, proxy, gateway, recorder } = await startRecorded(t, report, { redis: { args } });
    const other = await redis.connect();
    const script = other.command('EVAL', 'while true do end', 0).catch(() => 'killed');
    await pause(300);
    const before = proxy.accepted;
    proxy.cut(); // who connects now is told BUSY
    await until('BUSY is logged with its remedy', () => /BUSY.*SCRIPT KILL/.test(gateway.log));
    await pause(1500);
    const attempts = proxy.accepted - before;
    assert.ok(attempts <= 10 * gateway.linkCount, `${attempts} attempts to connect in 2 s`);
    report.saw(`the log says SCRIPT KILL, ${attempts} attempts of the links in 2 s`);
    await redis.command('SCRIPT', 'KILL');
    assert.equal(await script, 'killed');
    report.recovered(await recorder.live());
    report.saw(await recorder.finish());
    await other.close();
  });

  fault('Redis loads its data (LOADING)', { row: 5, expected: 'backs off, recovers' }, async (t, report) => {
    // 20,000 keys, each of which takes 100 µs to load.
    const args = ['--key-load-delay', '100', '--loading-process-events-interval-bytes', '1024', '--appendonly', 'yes'];
    const { redis, gateway, recorder } = await startRecorded(t, report, { isDirect: true, redis: { args } });
    await redis.command('DEBUG', 'POPULATE', 20000).catch(() => {});
    await redis.command('EVAL', "for i = 1, 20000 do redis.call('SET', 'filling' .. i, i) end", 0);
    await redis.kill();
    const starting = redis.start();
    await until('LOADING is logged with its remedy', () => /LOADING.*wait: Redis loads its data/.test(gateway.log), 10000);
    const lines = () => gateway.log.split('\n').filter((line) => /LOADING/.test(line)).length;
    await starting;
    assert.ok(lines() <= 3 * gateway.linkCount, `${lines()} lines in the log`);
    report.saw(`${lines()} lines in the log with the remedy`);
    report.recovered(await recorder.live());
    report.saw(await recorder.finish());
  });
});
