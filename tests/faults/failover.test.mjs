// Another server becomes the master: found by Sentinels, or at the address where the old one was.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault } from '../support/fault.mjs';
import { startFaultProxy } from '../support/fault_proxy.mjs';
import { startGateway } from '../support/gateway.mjs';
import { Recorder } from '../support/recorder.mjs';
import { startRedis } from '../support/redis.mjs';
import { roleOf, startSentinels } from '../support/sentinels.mjs';
import { until } from '../support/wait.mjs';

const EXPECTED = 'follows it, `gap`';

/** A gateway that asks Sentinels, watched, with a recorder that writes to `state.master`. */
async function start(t, report) {
  const group = await startSentinels(t);
  const [master, replica] = group.servers;
  const state = { group, master, replica };
  state.gateway = await startGateway({ redis: group.url });
  t.after(() => state.gateway.stop());
  await report.watch({ gateway: state.gateway, publish: (...message) => state.master.publish(...message) });
  state.recorder = new Recorder(t, { gateway: state.gateway, redis: () => state.master });
  await state.recorder.open();
  return state;
}

/** Waits until the replica is the master, and lets the recorder write there. */
async function promoted(state) {
  await until('the replica is promoted', async () => (await roleOf(state.replica)) === 'master', 20000);
  state.master = state.replica;
}

/** All clients are live on the new master, and were told. */
async function followed(state, report, start) {
  await state.recorder.live();
  report.recovered(Date.now() - start);
  const told = state.recorder.clients.filter(({ topics, gaps }) => topics.some((topic) => !topic.startsWith('stream')) && gaps.length > 0);
  assert.ok(told.length >= 5, `${told.length} clients were told of a gap`);
  assert.equal(await state.master.subscriptions('rec.a'), 1, 'it is subscribed at the new master');
  report.saw(await state.recorder.finish({ isStreamAsItIs: true }));
}

fault('the master dies, Sentinels make another', { row: 9, expected: EXPECTED, timeout: 90000 }, async (t, report) => {
  const state = await start(t, report);
  const start_ = Date.now();
  await state.master.kill();
  await promoted(state);
  report.saw(`the Sentinels had decided after ${((Date.now() - start_) / 1000).toFixed(1)} s`);
  await followed(state, report, start_);
  assert.match(state.gateway.log, new RegExp(`redis link up link=feed address=redis://127.0.0.1:${state.replica.port}/0`));
});

fault('a failover on request', { row: 9, expected: EXPECTED, isExtra: true, timeout: 90000 }, async (t, report) => {
  const state = await start(t, report);
  await state.recorder.pause(); // nobody writes to the old master while it is being replaced
  const start_ = Date.now();
  await state.group.sentinels[0].command('FAILOVER', 'mymaster');
  await promoted(state);
  state.recorder.goOn();
  await followed(state, report, start_);
  report.saw('the old master was left');
});

fault('the master is frozen and replaced', { row: 9, expected: EXPECTED, isExtra: true, timeout: 90000 }, async (t, report) => {
  const state = await start(t, report);
  const old = state.master;
  const start_ = Date.now();
  old.process.kill('SIGSTOP');
  t.after(() => old.process.kill('SIGCONT'));
  await promoted(state);
  report.saw(`the Sentinels had decided after ${((Date.now() - start_) / 1000).toFixed(1)} s`);
  await state.recorder.live(20000);
  old.process.kill('SIGCONT');
  await until('the old master is a replica', async () => (await roleOf(old)) === 'slave', 20000);
  await followed(state, report, start_);
});

fault('no Sentinel answers while the master is well', { row: 9, expected: 'nobody notices', isExtra: true }, async (t, report) => {
  const state = await start(t, report);
  for (const sentinel of state.group.sentinels) sentinel.process.kill('SIGKILL');
  await pause(7000);
  report.recovered(await state.recorder.live());
  assert.equal(await state.gateway.metric('sluice_redis_reconnects_total'), 0);
  report.saw('the connections stayed');
  report.saw(await state.recorder.finish());
});

fault('another server takes the address (DNS, a proxy); the old one stays, as a replica', { row: 9, expected: EXPECTED }, async (t, report) => {
  const args = ['--repl-diskless-sync-delay', '0'];
  const old = await startRedis({ tcp: true, args });
  t.after(() => old.stop());
  const next = await startRedis({ tcp: true, args: [...args, '--replicaof', `127.0.0.1 ${old.port}`] });
  t.after(() => next.stop());
  await until('the replica is in step', async () => /state=online/.test(await old.command('INFO', 'replication')), 20000);
  const proxy = await startFaultProxy(t, old.socket);
  const gateway = await startGateway({ redis: proxy.url });
  t.after(() => gateway.stop());
  let master = old;
  await report.watch({ gateway, publish: (...message) => master.publish(...message) });
  const recorder = new Recorder(t, { gateway, redis: () => master });
  await recorder.open();
  await recorder.pause();
  const start = Date.now();
  await next.command('REPLICAOF', 'NO', 'ONE');
  await old.command('REPLICAOF', '127.0.0.1', next.port); // no connection is closed by that
  proxy.target = next.socket;
  master = next;
  const { status, text } = await gateway.publish({ stream: 'written', payload: { n: 1 } });
  assert.equal(status, 200, text);
  assert.equal(await next.command('EXISTS', 'written'), 1);
  report.saw(`a publish was answered READONLY, and repeated at the new master after ${Date.now() - start} ms`);
  recorder.goOn();
  await recorder.live();
  report.recovered(Date.now() - start);
  report.saw(await recorder.finish({ isStreamAsItIs: true }));
});
