// Descriptors, disks and clocks that fail it.

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { FAKETIME } from '../support/faketime.mjs';
import { fault } from '../support/fault.mjs';
import { startGateway, startPair } from '../support/gateway.mjs';
import { makeFolder, removeFolder, runProcess } from '../support/processes.mjs';
import { RawConnection } from '../support/raw.mjs';
import { startRedis } from '../support/redis.mjs';
import { cpuSeconds, descriptors } from '../support/vitals.mjs';
import { SLOWNESS, until } from '../support/wait.mjs';

/** Lowers or raises the soft limit of a process that runs. */
async function limitDescriptors(pid, count) {
  const { code, output } = await runProcess('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
  assert.equal(code, 0, output);
}

fault('out of descriptors', { row: 26, expected: 'no spin, no log flood, recovers' }, async (t, report) => {
  const { redis, gateway } = await startPair(t, { flags: ['--access-log', 'off'] });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const stream = await gateway.stream('/events/stream?channel=x');
  await stream.seesRetry();
  const limit = /Max open files +(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/limits`, 'utf8'))[1];
  await limitDescriptors(gateway.pid, descriptors(gateway.pid) + 20);
  const quiet = gateway.log.length;
  const crowd = Array.from({ length: 200 }, () => new RawConnection(gateway.port));
  for (const connection of crowd) connection.send('GET /events/stream?channel=x HTTP/1.1\r\nHost: x\r\n\r\n');
  await gateway.process.sees(/accepting pauses/, { from: quiet });
  const before = cpuSeconds(gateway.pid);
  await pause(3000);
  const spent = cpuSeconds(gateway.pid) - before;
  await redis.publish('x', 'still there');
  assert.equal((await stream.next()).data, 'still there');
  const lines = gateway.log.slice(quiet).split('\n').filter((line) => line && !/ info /.test(line));
  for (const connection of crowd) connection.socket.destroy();
  await limitDescriptors(gateway.pid, limit);
  const start = Date.now();
  await until('a new client is served', async () => (await gateway.get('/healthz').catch(() => ({}))).status === 200);
  report.recovered(Date.now() - start);
  report.saw(`${spent.toFixed(2)} s of CPU and ${lines.length} warnings in 3 s without descriptors; who was there was served`);
  assert.ok(spent < 0.6 * SLOWNESS, `${spent} s of CPU`);
  assert.ok(lines.length <= 8, lines.slice(0, 10).join('\n'));
  await stream.close();
});

async function serveWithFullLog(t, report, target) {
  const redis = await startRedis();
  const under = ['sh', '-c', 'exec "$@" 2>"$LOG"', 'sh'];
  const gateway = await startGateway({ redis, under, flags: ['--log-level', 'debug'], environment: { LOG: target } });
  t.after(() => gateway.stop().finally(() => redis.stop()));
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  for (let n = 0; n < 2000; n += 100) await Promise.all(Array.from({ length: 100 }, () => gateway.get('/healthz')));
  const stream = await gateway.stream('/events/stream?channel=x');
  await stream.seesRetry();
  await redis.publish('x', 'served');
  assert.equal((await stream.next()).data, 'served');
  await stream.close();
  return gateway;
}

fault('log device full', { row: 28, expected: 'goes on serving' }, async (t, report) => {
  await serveWithFullLog(t, report, '/dev/full');
  report.saw('2,000 requests and a stream were served, none of which could be logged');
});

fault('log disk full', { row: 28, expected: 'goes on serving', needs: ['root'] }, async (t, report) => {
  const folder = makeFolder();
  const mounted = await runProcess('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]);
  assert.equal(mounted.code, 0, mounted.output);
  t.after(async () => {
    await runProcess('umount', ['-l', folder]);
    removeFolder(folder);
  });
  const log = join(folder, 'log');
  const gateway = await serveWithFullLog(t, report, log);
  const full = readFileSync(log).length;
  // Room again: what is logged from now on is.
  writeFileSync(log, '');
  await gateway.get('/healthz');
  await until('it logs again', () => /healthz/.test(readFileSync(log, 'latin1')));
  report.saw(`2,000 requests and a stream were served, ${full} bytes of log fitted; it logged again when there was room`);
});

fault('wall clock jumps by an hour', { row: 29, expected: 'no mass timeout, TTLs hold', needs: ['faketime'] }, async (t, report) => {
  const folder = makeFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const offset = join(folder, 'offset');
  const jump = (text) => writeFileSync(offset, text);
  jump('+0');
  const environment = { LD_PRELOAD: FAKETIME, FAKETIME_TIMESTAMP_FILE: offset, FAKETIME_NO_CACHE: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1', DONT_FAKE_MONOTONIC: '1' };
  const flags = ['--heartbeat', '500ms', '--stall-timeout', '2s', '--snapshot-ttl', '3s', '--snapshot-ttl-moving', '3s', '--snapshot-ttl-idle', '3s'];
  const { redis, gateway } = await startPair(t, { flags, environment });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const streams = await Promise.all(Array.from({ length: 100 }, (_, n) => gateway.stream(n % 2 ? '/events/stream?channel=x' : '/batches/b/stream')));
  await gateway.request('PUT', '/batches/b', { body: { progress: 1 } });
  const kept = new RawConnection(gateway.port);
  kept.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  await kept.sees(/^HTTP\/1\.1 200/);
  const wall = async () => Date.parse((await gateway.get('/healthz')).headers.date);
  for (const [jumped, hours] of [['+3600', 1], ['-3600', -1], ['+0', 0]]) {
    await gateway.get('/batches/b');
    jump(jumped);
    await until(`the clock of the gateway is ${jumped} s off`, async () => Math.abs((await wall()) - Date.now() - hours * 3600e3) < 5000);
    const { headers } = await gateway.get('/batches/b');
    assert.equal(headers['x-cache'], 'HIT', `after ${jumped} it is still cached`);
    assert.ok(Number(headers.age) <= 4, `its age is ${headers.age} after ${jumped}`);
    const comments = streams.map((stream) => stream.comments);
    await until('heartbeats go on', () => streams.every((stream, n) => stream.comments > comments[n] || !stream.isOpen), 5000);
    assert.ok(streams.every((stream) => stream.isOpen), `streams ended after ${jumped}`);
    await redis.publish('x', jumped);
    await until('all are served', () => streams.every((stream, n) => n % 2 === 0 || stream.events.at(-1)?.data === jumped));
  }
  const published = await gateway.publish({ channel: 'x', payload: 1, id: 'once' });
  const again = await gateway.publish({ channel: 'x', payload: 1, id: 'once' });
  assert.deepEqual([published.json().duplicate, again.json().duplicate], [false, true]);
  kept.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  await kept.sees(/(HTTP\/1\.1 200[^]*){2}/);
  await pause(3300);
  assert.equal((await gateway.get('/batches/b')).status, 404, 'it was kept for its 3 s, and no longer');
  await Promise.all(streams.map((stream) => stream.close()));
  await kept.close();
  report.saw('+1 h, −1 h and back: 100 streams stayed open with their heartbeats, a kept connection worked, a snapshot was cached for its 3 s');
});
