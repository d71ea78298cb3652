// Valgrind finds nothing from start to stop: no byte is used that was not written, none is lost.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RUNS_ALL } from '../support/fault.mjs';
import { startGateway } from '../support/gateway.mjs';
import { makeFolder } from '../support/processes.mjs';
import { startReceiver } from '../support/receiver.mjs';
import { startRedis } from '../support/redis.mjs';
import { HAS_SANITIZER } from '../support/vitals.mjs';
import { until } from '../support/wait.mjs';

const PATIENCE_MS = 60000;
const VALGRIND = [
  'valgrind',
  '--leak-check=full',
  '--errors-for-leak-kinds=definite,indirect,possible',
  '--error-exitcode=77',
  '--num-callers=30',
];

function reasonToSkip() {
  if (HAS_SANITIZER) return 'the binary has a sanitizer in it';
  if (!RUNS_ALL) return 'takes a while: ./dev valgrind and ./dev faults run it';
  if (spawnSync('valgrind', ['--version']).error) return 'needs valgrind';
  return false;
}

async function serve(gateway, redis) {
  const viewer = await gateway.stream('/batches/v/stream');
  const reader = await gateway.stream('/events/stream?channel=a&pattern=b.*&stream=s');
  const worker = await gateway.stream('/streams/jobs/groups/g/events?consumer=w&start=0');
  await until('the subscriptions', async () => (await redis.subscriptions('a')) === 1, PATIENCE_MS);

  assert.equal((await gateway.publish({ channel: 'a', payload: { n: 1 } })).status, 200);
  assert.equal((await gateway.publish([{ stream: 's', payload: { n: 2 } }, { stream: 'jobs', payload: { n: 3 } }])).status, 200);
  assert.equal((await gateway.publish({ event: 'e', critical: true, payload: { n: 4 } })).status, 200);
  assert.equal((await gateway.publish('{"broken', { 'content-type': 'application/json' })).status, 400);
  assert.equal((await gateway.request('PUT', '/batches/v', { body: { status: 'COMPLETED' } })).status, 200);
  await viewer.nextWhere(({ event }) => event === 'complete', PATIENCE_MS);
  const { id } = await reader.nextWhere(({ data }) => data.includes('"stream":"s"'), PATIENCE_MS);
  const entry = await worker.next(PATIENCE_MS);
  assert.equal((await gateway.request('POST', '/streams/jobs/groups/g/ack', { body: { ids: [entry.id] } })).status, 200);
  await reader.close();
  const again = await gateway.stream('/events/stream?channel=a&pattern=b.*&stream=s', { 'last-event-id': id });
  for (const path of ['/metrics', '/', '/streams', '/streams/s', '/batches/v', '/nothing', '/%00']) await gateway.get(path);
  return again;
}

test('valgrind finds nothing from start to stop', { skip: reasonToSkip(), timeout: 180000 }, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const receiver = await startReceiver(t, () => 204);
  const config = join(makeFolder(), 'sluice.yml');
  writeFileSync(config, `sinks:\n  - {name: hook, stream: s, url: "${receiver.url}"}\n`);
  const gateway = await startGateway({ redis, flags: ['--config', config], wait: false, under: VALGRIND });
  await gateway.ready(PATIENCE_MS);
  const reader = await serve(gateway, redis);
  await redis.restart();
  await reader.nextWhere(({ event }) => event === 'gap', PATIENCE_MS);
  await gateway.ready(PATIENCE_MS);
  gateway.process.kill('SIGTERM');
  const { code } = await gateway.process.ends(PATIENCE_MS);
  assert.match(gateway.log, /ERROR SUMMARY: 0 errors/, gateway.log.slice(-6000));
  assert.equal(code, 0, gateway.log.slice(-6000));
});
