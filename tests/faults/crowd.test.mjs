// One address that opens all the streams it can, while others use the gateway. ./dev faults lets it open 10,000.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RUNS_ALL } from '../support/fault.mjs';
import { startPair } from '../support/gateway.mjs';
import { RawConnection } from '../support/raw.mjs';
import { HAS_SANITIZER } from '../support/vitals.mjs';
import { until } from '../support/wait.mjs';

const CROWD = RUNS_ALL ? 10000 : 1600;
const AT_A_TIME = 200;
const PLACES = 100;
const CROWD_ADDRESS = '127.0.0.66';
const REQUEST = 'GET /events/stream?channel=x HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n';

test(`${CROWD} streams from one address`, { timeout: 120000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--streams-per-address-max', String(PLACES), '--stream-rate-per-address-max', '1000000'] });
  const others = await Promise.all(Array.from({ length: 5 }, () => gateway.stream('/events/stream?channel=x')));
  await until('a subscription', () => redis.subscriptions('x'));
  const before = await gateway.metric('process_resident_memory_bytes');
  const held = [];
  let refused = 0;
  let published = 0;
  for (let opened = 0; opened < CROWD; opened += AT_A_TIME) {
    await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
      const connection = new RawConnection(gateway.port, CROWD_ADDRESS);
      connection.send(REQUEST);
      const [, wait] = await connection.sees(/\r\n\r\nretry: ?(\d+)/, 20000);
      if (Number(wait) < 10000) return held.push(connection);
      assert.match(await connection.end(), /event: ?refused\ndata: ?\{"reason":"streams-per-address"\}\n\n$/);
      refused++;
    }));
    await redis.publish('x', String(++published));
    for (const other of others) assert.equal((await other.next()).data, String(published));
  }
  assert.equal(held.length, PLACES);
  assert.equal(refused, CROWD - PLACES);
  assert.equal(await gateway.metric('sluice_limited_total{limit="streams-per-address"}'), refused);
  assert.equal(await gateway.metric('sluice_sse_clients'), PLACES + others.length);
  const grown = (await gateway.metric('process_resident_memory_bytes')) - before;
  assert.ok(HAS_SANITIZER || grown < 32 << 20, `${grown} bytes more for a crowd that was refused`);

  for (const connection of held) await connection.close();
  await until('their places are free', async () => (await gateway.metric('sluice_sse_clients')) === others.length);
  const back = new RawConnection(gateway.port, CROWD_ADDRESS);
  back.send(REQUEST);
  const [, wait] = await back.sees(/\r\n\r\nretry: ?(\d+)/);
  assert.ok(Number(wait) < 10000, 'served again');
  await back.close();
  t.diagnostic(`${refused} refused, ${published} messages to each of ${others.length} others in time, ${Math.round(grown / 1024)} KiB`);
  for (const other of others) await other.close();
});
