// Redis takes no writes: a replica, out of memory, or not able to save. Whoever publishes is told so, and nothing is half-done.

import assert from 'node:assert/strict';
import { rmSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fault, faults } from '../support/fault.mjs';
import { startPair } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

const EXPECTED = 'publish answers 503, nothing half-done';

/** Each way to publish that writes to Redis, and how to find what it may have left: [key] and [channel]. */
const WAYS = {
  'a stream': { body: { stream: 'half.stream', payload: { n: 1 } }, keys: ['half.stream'] },
  'a channel and a stream': {
    body: { channel: 'half.both', stream: 'half.both', payload: { n: 1 } }, keys: ['half.both'], channels: ['half.both'],
  },
  'a critical event': {
    body: { event: 'half', critical: true, payload: { n: 1 } }, keys: ['events:half'], channels: ['live:half'],
  },
  'a channel, with an id': {
    body: { channel: 'half.once', payload: 1, id: 'once' }, keys: ['sluice:idempotency:once'], channels: ['half.once'],
  },
};

const PUT_BATCH = { keys: ['batch:progress:half'], channels: ['batch:half'] };

/** A gateway on a Redis, watched, and a listener to all that may be published. */
async function start(t, report, options) {
  const { redis, gateway } = await startPair(t, { redis: options });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const listener = await redis.connect();
  const channels = [...Object.values(WAYS), PUT_BATCH].flatMap(({ channels = [] }) => channels);
  for (const channel of channels) await listener.subscribe(channel);
  return { redis, gateway, listener };
}

/** Publishes in every way while Redis refuses, and fails unless each is 503 and has left nothing. */
async function assertRefused({ redis, gateway, listener }) {
  const ways = [...Object.values(WAYS), PUT_BATCH];
  const answers = await Promise.all([
    ...Object.values(WAYS).map(({ body }) => gateway.publish(body)),
    gateway.request('PUT', '/batches/half', { body: { batchId: 'half', status: 'PROCESSING', progress: 1 } }),
  ]);
  for (const [index, answer] of answers.entries()) {
    const way = [...Object.keys(WAYS), 'PUT of a batch'][index];
    assert.equal(answer.status, 503, `${way}: ${answer.status} ${answer.text}`);
    assert.match(answer.headers['retry-after'] ?? '', /^\d+$/, `${way}: Retry-After`);
    assert.match(answer.headers['content-type'], /^application\/problem\+json/, way);
  }
  for (const key of ways.flatMap(({ keys }) => keys)) assert.equal(await redis.command('EXISTS', key), 0, `${key} is not there`);
  assert.deepEqual(listener.messages, [], 'no message');
  await listener.close();
  return `${answers.length} ways to publish: 503 with Retry-After; no entry, no message, no receipt`;
}

/** Publishing works again, in every way. */
async function assertTaken(gateway, report) {
  const start = Date.now();
  for (const [way, { body }] of Object.entries(WAYS)) {
    const { status, text } = await gateway.publish(body);
    assert.equal(status, 200, `${way}: ${text}`);
  }
  report.recovered(Date.now() - start);
}

faults('Redis takes no writes', () => {
  fault('READONLY: Redis became a replica', { row: 10, expected: EXPECTED, timeout: 60000 }, async (t, report) => {
    const pair = await start(t, report, { tcp: true });
    const { redis, gateway } = pair;
    const master = await startRedis({ tcp: true, args: ['--repl-diskless-sync-delay', '0'] });
    t.after(() => master.stop());
    await redis.command('REPLICAOF', '127.0.0.1', master.port);
    await until('it is in step', async () => /master_link_status:up/.test(await redis.command('INFO', 'replication')), 20000);
    report.saw(await assertRefused(pair));
    await redis.command('REPLICAOF', 'NO', 'ONE');
    await assertTaken(gateway, report);
  });

  fault('OOM: Redis is at maxmemory', { row: 10, expected: EXPECTED, timeout: 60000 }, async (t, report) => {
    const pair = await start(t, report);
    const { redis, gateway } = pair;
    await redis.command('CONFIG', 'SET', 'maxmemory', 1);
    report.saw(await assertRefused(pair));
    await redis.command('CONFIG', 'SET', 'maxmemory', 0);
    await assertTaken(gateway, report);
  });

  fault('MISCONF: Redis cannot save to disk', { row: 10, expected: EXPECTED, timeout: 60000 }, async (t, report) => {
    const pair = await start(t, report, { args: ['--enable-protected-configs', 'yes'] });
    const { redis, gateway } = pair;
    // Its folder goes away under it, so that no file can be made there, not even by root.
    const folder = join(redis.folder, 'data');
    mkdirSync(folder);
    await redis.command('CONFIG', 'SET', 'dir', folder);
    rmSync(folder, { recursive: true });
    await redis.command('CONFIG', 'SET', 'save', '3600 1');
    await redis.command('SET', 'changed', 1);
    await redis.command('BGSAVE');
    await until('saving fails', async () => /rdb_last_bgsave_status:err/.test(await redis.command('INFO', 'persistence')));
    report.saw(await assertRefused(pair));
    await redis.command('CONFIG', 'SET', 'dir', redis.folder);
    await redis.command('CONFIG', 'SET', 'save', '');
    await redis.command('BGSAVE');
    await until('saving works', async () => /rdb_last_bgsave_status:ok/.test(await redis.command('INFO', 'persistence')));
    await assertTaken(gateway, report);
  });
});
