// Starting, stopping gracefully, and giving everything back.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { startPair } from '../support/gateway.mjs';
import { RawConnection } from '../support/raw.mjs';
import { until } from '../support/wait.mjs';

const descriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length;

test('SIGTERM with 200 streams: not ready, each told retry and let go, exit 0 in time', async (t) => {
  const { gateway } = await startPair(t, { flags: ['--drain-timeout', '2s'] });
  const streams = await Promise.all(
    Array.from({ length: 200 }, (_, n) => gateway.stream(n % 2 ? '/events/stream?channel=x' : `/batches/b${n % 10}/stream`)),
  );
  await until('all clients', async () => (await gateway.metric('sluice_sse_clients')) === 200);
  await Promise.all(streams.map((stream) => stream.seesRetry()));
  // A connection that is open already still gets an answer while it drains.
  const open = new RawConnection(gateway.port);
  open.send('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n');
  await open.sees(/^HTTP\/1\.1 200 /);
  const started = Date.now();
  gateway.process.kill('SIGTERM');
  await gateway.process.sees(/drain|stopping|shutting/i);
  // Its thread may hear of it a moment later.
  await until('503, or the connection closed', () => {
    if (!open.isClosed) open.send('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n');
    return /HTTP\/1\.1 503 /.test(open.text) || open.isClosed;
  });
  const ends = await Promise.all(streams.map((stream) => stream.end().then(() => Date.now() - started)));
  for (const stream of streams) assert.equal(stream.retries.length, 2, 'a second retry, for coming back');
  assert.ok(Math.max(...ends) - Math.min(...ends) > 200, 'not all at once');
  const { code } = await gateway.process.ends();
  assert.equal(code, 0);
  assert.ok(Date.now() - started < 4000, `it took ${Date.now() - started} ms`);
});

test('SIGINT ends it as well', async (t) => {
  const { gateway } = await startPair(t);
  gateway.process.kill('SIGINT');
  assert.equal((await gateway.process.ends()).code, 0);
});

test('a second SIGTERM does not wait', async (t) => {
  const { gateway } = await startPair(t, { flags: ['--drain-timeout', '30s'] });
  const streams = await Promise.all(Array.from({ length: 20 }, () => gateway.stream('/events/stream?channel=x')));
  gateway.process.kill('SIGTERM');
  await gateway.process.sees(/drain|stopping|shutting/i);
  const started = Date.now();
  gateway.process.kill('SIGTERM');
  await gateway.process.ends();
  assert.ok(Date.now() - started < 5000);
  await Promise.all(streams.map((stream) => stream.end()));
});

test('a publish in progress is answered while it drains', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--drain-timeout', '5s'] });
  await redis.command('CLIENT', 'PAUSE', 500, 'WRITE');
  const publishing = gateway.publish({ stream: 's', payload: { a: 1 } });
  await until('the request is in', async () => /cmd=(xadd|evalsha|eval|exec|multi)/.test(await redis.command('CLIENT', 'LIST')));
  gateway.process.kill('SIGTERM');
  assert.equal((await publishing).status, 200);
  assert.equal((await gateway.process.ends()).code, 0);
});

test('without clients it is gone at once', async (t) => {
  const { gateway } = await startPair(t, { flags: ['--drain-timeout', '10s'] });
  const started = Date.now();
  await gateway.stop();
  assert.ok(Date.now() - started < 1000);
});

test('descriptors are given back, however clients leave', async (t) => {
  const { gateway } = await startPair(t, { flags: ['--subscription-linger', '100ms'] });
  await gateway.get('/healthz');
  const before = descriptors(gateway.pid);
  for (let round = 0; round < 5; round++) {
    const streams = await Promise.all(Array.from({ length: 40 }, (_, n) => gateway.stream(`/events/stream?channel=c${n}`)));
    const raw = Array.from({ length: 20 }, () => new RawConnection(gateway.port));
    for (const connection of raw) connection.send('GET /events/stream?channel=raw HTTP/1.1\r\nHost: x\r\n\r\n');
    await Promise.all(raw.map((connection) => connection.sees(/retry:/)));
    for (const connection of raw) connection.socket.resetAndDestroy();
    await Promise.all(streams.map((stream) => stream.close()));
    // And some that leave before their head is complete, or right after it.
    const hasty = Array.from({ length: 20 }, () => new RawConnection(gateway.port));
    for (const [n, connection] of hasty.entries()) {
      connection.send('GET /events/stream?channel=hasty HTTP/1.1\r\nHost: x\r\n' + (n % 2 ? '\r\n' : ''));
      connection.socket.end();
    }
    await Promise.all(hasty.map((connection) => connection.close()));
  }
  await until('no client', async () => (await gateway.metric('sluice_sse_clients')) === 0);
  await until('as many descriptors as before', () => descriptors(gateway.pid) <= before + 1, 3000);
  await until('no subscription', async () => (await gateway.metric('sluice_redis_subscriptions')) === 0);
});

test('a client that is gone is noticed within a second', async (t) => {
  const { gateway } = await startPair(t);
  const leaving = [new RawConnection(gateway.port), new RawConnection(gateway.port)];
  for (const connection of leaving) {
    connection.send('GET /events/stream?channel=x HTTP/1.1\r\nHost: x\r\n\r\n');
    await connection.sees(/retry:/);
  }
  await until('two clients', async () => (await gateway.metric('sluice_sse_clients')) === 2);
  leaving[0].socket.destroy();
  leaving[1].socket.resetAndDestroy();
  await until('none', async () => (await gateway.metric('sluice_sse_clients')) === 0, 1000);
});
