// The network to Redis swallows packets: nobody is told that a connection is of no use any more.

import assert from 'node:assert/strict';
import { fault } from '../support/fault.mjs';
import { startGateway } from '../support/gateway.mjs';
import { makeNamespace } from '../support/netns.mjs';
import { DURABLE, Recorder } from '../support/recorder.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

fault('network to Redis swallows packets', {
  row: 4, expected: 'noticed in 15 s, heartbeats to clients go on', needs: ['root'], seconds: 30,
}, async (t, report) => {
  const space = makeNamespace(t);
  const redis = await startRedis({ tcp: true, args: [...DURABLE, '--protected-mode', 'no'], place: space });
  t.after(() => redis.stop());
  const gateway = await startGateway({ redis, flags: ['--heartbeat', '1s'] });
  t.after(() => gateway.stop());
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const recorder = new Recorder(t, { gateway, redis });
  await recorder.open();
  const idle = await gateway.stream('/events/stream?channel=idle');

  space.unplug();
  const start = Date.now();
  const heartbeats = idle.comments;
  await until('the silence is noticed', () => /link=feed.*no answer to PING|link=feed.*timed out/i.test(gateway.log), 17000);
  const noticed = (Date.now() - start) / 1000;
  const seen = idle.comments - heartbeats;
  assert.ok(noticed <= 15.5, `noticed after ${noticed} s`);
  assert.ok(seen >= noticed * 0.7, `${seen} heartbeats in ${noticed} s`);
  assert.equal((await gateway.get('/readyz')).status, 503);
  report.saw(`noticed after ${noticed.toFixed(1)} s, ${seen} heartbeats of 1 s meanwhile, \`/readyz\` 503`);

  space.plug();
  report.recovered(await recorder.live(30000));
  assert.ok(recorder.gapCount >= 5, `${recorder.gapCount} gaps`);
  report.saw(await recorder.finish());
  await idle.close();
});
