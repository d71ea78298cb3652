// The recorder that the other cases rely on: it finds what is lost, doubled or misplaced, and a bad network that hides a message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startFaultProxy } from '../support/fault_proxy.mjs';
import { startGateway } from '../support/gateway.mjs';
import { faultsOfList, Recorder } from '../support/recorder.mjs';
import { startRedis } from '../support/redis.mjs';

const GAP = { gap: {} };
const list = (...numbers) => numbers.map((n) => (n === GAP ? n : { topic: 'x', n }));
const WANTED = [1, 2, 3, 4, 5];

test('lists: exact, with a gap, lost, twice, out of order', () => {
  assert.deepEqual(faultsOfList(list(1, 2, 3, 4, 5), 'x', WANTED), []);
  assert.deepEqual(faultsOfList(list(3, 4), 'x', WANTED), []);
  assert.deepEqual(faultsOfList(list(1, GAP, 4, 5), 'x', WANTED), []);
  assert.deepEqual(faultsOfList(list(1, 3, GAP, 5), 'x', WANTED), ['1 from 2 on missing without a gap']);
  assert.deepEqual(faultsOfList(list(1, GAP, 2, 5), 'x', WANTED), ['2 from 3 on missing without a gap']);
  assert.deepEqual(faultsOfList(list(1, 2, GAP, 2, 3), 'x', WANTED), ['2 twice']);
  assert.deepEqual(faultsOfList(list(1, 2, 3, GAP, 2), 'x', WANTED), ['2 after 3']);
  const batch = list(1, 2, GAP, 2, 3).map((item) => (item.gap ? item : { ...item, topic: 'batch x' }));
  assert.deepEqual(faultsOfList(batch, 'batch x', WANTED), []);
});

test('one message that never comes is found', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const proxy = await startFaultProxy(t, redis.socket);
  const gateway = await startGateway({ redis: proxy.url });
  t.after(() => gateway.stop());
  const recorder = new Recorder(t, { gateway, redis, perSecond: 50 });
  await recorder.open();
  await recorder.live();
  let isLost = false;
  proxy.filter = (bytes, { to, connection }) => {
    if (isLost || to !== 'gateway' || connection.link !== 'feed') return bytes;
    const text = bytes.toString('latin1');
    const rest = text.replace(/\*3\r\n\$7\r\nmessage\r\n\$5\r\nrec\.a\r\n\$\d+\r\n\d+\r\n/, '');
    isLost = rest !== text;
    return Buffer.from(rest, 'latin1');
  };
  for (let round = 0; round < 50 && !isLost; round++) await recorder.live();
  assert.ok(isLost, 'a message was taken out');
  await assert.rejects(recorder.finish(), /one channel.*1 from \d+ on missing without a gap/);
});
