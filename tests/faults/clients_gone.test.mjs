// Clients that leave, politely or not.

import assert from 'node:assert/strict';
import { fault } from '../support/fault.mjs';
import { startGateway, startPair } from '../support/gateway.mjs';
import { freePort, runProcess, startProcess } from '../support/processes.mjs';
import { RawConnection } from '../support/raw.mjs';
import { startRedis } from '../support/redis.mjs';
import { SLOWNESS, until } from '../support/wait.mjs';

const CLIENTS = 300;

async function openMany(gateway) {
  const clients = Array.from({ length: CLIENTS }, () => new RawConnection(gateway.port));
  for (const [n, client] of clients.entries()) client.send(`GET ${n % 2 ? '/events/stream?channel=x' : '/batches/b/stream'} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await Promise.all(clients.map((client) => client.sees(/retry: /)));
  await until('all clients', async () => (await gateway.metric('sluice_sse_clients')) === CLIENTS);
  return clients;
}

async function leaveBy(t, report, leave) {
  const { redis, gateway } = await startPair(t, { flags: ['--subscription-linger', '100ms'] });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const clients = await openMany(gateway);
  const start = Date.now();
  for (const { socket } of clients) leave(socket);
  await until('all are freed', async () => (await gateway.metric('sluice_sse_clients')) === 0, 3000);
  const took = Date.now() - start;
  report.recovered(took);
  report.saw(`${CLIENTS} clients freed after ${took} ms`);
  assert.ok(took < 1000 * SLOWNESS, `it took ${took} ms`);
}

fault('client resets', { row: 16, expected: 'freed within 1 s' }, (t, report) => leaveBy(t, report, (socket) => socket.resetAndDestroy()));

fault('client closes', { row: 17, expected: 'freed within 1 s' }, (t, report) => leaveBy(t, report, (socket) => socket.destroy()));

/** A network namespace with a link to ours, whose far end goes down with down(). */
async function startFarNetwork(t) {
  const name = `sluice-${process.pid}`;
  const near = `slu${process.pid % 1e6}`;
  const run = async (...args) => {
    const { code, output } = await runProcess('ip', args);
    assert.equal(code, 0, `ip ${args.join(' ')}: ${output}`);
  };
  t.after(async () => {
    await runProcess('ip', ['link', 'del', near]);
    await runProcess('ip', ['netns', 'del', name]);
  });
  const net = `198.18.${process.pid % 200}`; // for tests of networks: RFC 2544
  await run('netns', 'add', name);
  await run('link', 'add', near, 'type', 'veth', 'peer', 'name', 'far', 'netns', name);
  await run('addr', 'add', `${net}.1/30`, 'dev', near);
  await run('link', 'set', near, 'up');
  await run('-n', name, 'addr', 'add', `${net}.2/30`, 'dev', 'far');
  await run('-n', name, 'link', 'set', 'far', 'up');
  return { name, address: `${net}.1`, down: () => run('-n', name, 'link', 'set', 'far', 'down') };
}

fault('client vanishes', { row: 18, expected: 'freed by heartbeat + TCP_USER_TIMEOUT', needs: ['root'] }, async (t, report) => {
  const network = await startFarNetwork(t);
  const redis = await startRedis();
  const port = await freePort();
  const flags = ['--listen', `0.0.0.0:${port}`, '--access', 'open', '--heartbeat', '1s', '--stall-timeout', '3s'];
  const gateway = await startGateway({ redis, port, flags });
  t.after(() => gateway.stop().finally(() => redis.stop()));
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const url = `http://${network.address}:${port}/events/stream?channel=x`;
  const client = startProcess('ip', ['netns', 'exec', network.name, 'curl', '-sN', url]);
  await client.sees(/retry: /);
  await until('a client', async () => (await gateway.metric('sluice_sse_clients')) === 1);
  await network.down();
  const start = Date.now();
  await until('it is freed', async () => (await gateway.metric('sluice_sse_clients')) === 0, 12000);
  const took = Date.now() - start;
  const stalled = await gateway.metric('sluice_slow_clients_total{action="stalled"}');
  client.kill('SIGKILL');
  report.recovered(took);
  report.saw(`freed after ${took} ms with heartbeat 1 s and stall_timeout 3 s; counted as stalled: ${stalled}`);
  assert.ok(took < 8000 * SLOWNESS, `it took ${took} ms`);
  assert.equal(stalled, 1);
});
