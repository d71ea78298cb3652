// Clients that do not read, or drip, beside a thousand that do.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fault } from '../support/fault.mjs';
import { BINARY, startPair } from '../support/gateway.mjs';
import { runProcess } from '../support/processes.mjs';
import { RawConnection } from '../support/raw.mjs';
import { peakMemory } from '../support/vitals.mjs';
import { until } from '../support/wait.mjs';

const LOAD = join(dirname(BINARY), 'tests/bench/load');
const BACKLOG_BYTES = 256 * 1024;

/** 1,000 clients that read, and who else: what the load generator says. */
async function measure({ redis, gateway }, others) {
  const options = { clients: 1000, rate: 20, warmup: 20, messages: 80, 'payload-bytes': 6000, 'settle-ms': 200, ...others };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { code, stdout, output } = await runProcess(LOAD, ['--server', `127.0.0.1:${gateway.port}`, '--redis', `unix:${redis.socket}`, '--server-pid', String(gateway.pid), ...args], { milliseconds: 60000 });
  assert.equal(code, 0, output.slice(-1000));
  return JSON.parse(stdout);
}

/** How much worse they may have it, and how sure that must be: pairs of rounds, the one without and the one with the slow clients. */
const RATIO_MAX = 1.1;
const PAIRS_MIN = 6;
const PAIRS_MAX = 13;

const ascending = (numbers) => [...numbers].sort((one, other) => one - other);
const median = (numbers) => ascending(numbers)[numbers.length >> 1];

/** Where the median of what such pairs would show lies, with 94 % or more: order statistics, whatever the distribution. */
function interval(ratios) {
  const cut = ratios.length < 8 ? 0 : ratios.length < 11 ? 1 : 2;
  const sorted = ascending(ratios);
  return [sorted[cut], sorted.at(-1 - cut)];
}

fault('one never reads and 100 drip, beside 1,000', { row: 19, expected: 'bounded memory, cut or conflated; the p99 of the others within 10 %', seconds: 120, timeout: 400000 }, async (t, report) => {
  assert.ok(existsSync(LOAD), `${LOAD} is not there`);
  const flags = ['--access-log', 'off', '--backlog-bytes-max', String(BACKLOG_BYTES), '--stall-timeout', '2s', '--heartbeat', '1s'];
  const pair = await startPair(t, { flags });
  const { redis, gateway } = pair;
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  await measure(pair, {}); // what a first thousand makes it allocate is not theirs
  const alone = [];
  const beside = [];
  const ratios = [];
  let peak = 0;
  let base = Infinity;
  const rounds = [
    async () => {
      const [result, memory] = await peakMemory(gateway.pid, () => measure(pair, {}));
      alone.push(result.latencyMs.p99);
      base = Math.min(base, memory);
    },
    async () => {
      const [result, memory] = await peakMemory(gateway.pid, () => measure(pair, { stalled: 1, slow: 100, 'slow-bytes-per-second': 200 }));
      beside.push(result.latencyMs.p99);
      peak = Math.max(peak, memory);
      assert.equal(result.healthy.lost ?? 0, 0);
    },
  ];
  // In turns, and each the first in every other pair: whatever else the machine does meets both.
  const isDecided = ([least, most]) => most < RATIO_MAX || least >= RATIO_MAX;
  while (ratios.length < PAIRS_MIN || (ratios.length < PAIRS_MAX && !isDecided(interval(ratios)))) {
    for (const round of ratios.length % 2 ? [...rounds].reverse() : rounds) await round();
    ratios.push(beside.at(-1) / alone.at(-1));
  }
  const [least, most] = interval(ratios);
  const change = (ratio) => `${ratio < 1 ? '−' : '+'}${Math.abs((ratio - 1) * 100).toFixed(0)} %`;
  const range = `${change(least)} to ${change(most)}`;
  const grown = peak - base;
  const action = async (name) => gateway.metric(`sluice_slow_clients_total{action="${name}"}`);
  const [disconnected, stalled] = [await action('disconnected'), await action('stalled')];
  report.saw(`p99 ${median(beside).toFixed(2)} ms beside them, ${median(alone).toFixed(2)} ms without: ${change(median(ratios))} in the median of ${ratios.length} pairs of rounds, which lies between ${range.replace(' to ', ' and ')}; ${(grown / 2 ** 20).toFixed(1)} MiB more memory at most, the bound being ${(101 * BACKLOG_BYTES / 2 ** 20).toFixed(0)}; slow clients disconnected: ${disconnected}, stalled: ${stalled}`);
  assert.ok(grown < 101 * BACKLOG_BYTES, `${grown} bytes`);
  assert.ok(disconnected + stalled > 0, 'no policy was applied');
  assert.ok(least < RATIO_MAX, `p99 beside them: ${range}`);
  if (most >= RATIO_MAX) report.leaveOpen(`the machine's own changes are too large to tell (${range})`);
});

fault('client never reads', { row: 19, expected: 'bounded memory, cut or conflated' }, async (t, report) => {
  const { redis, gateway } = await startPair(t, { flags: ['--backlog-bytes-max', '64KiB', '--access-log', 'off'] });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const open = async (path) => {
    const connection = new RawConnection(gateway.port);
    connection.send(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await connection.sees(/retry: /);
    return connection;
  };
  const reader = await gateway.stream('/events/stream?channel=x');
  reader.keepBytes = false;
  const channel = await open('/events/stream?channel=x');
  const batch = await open('/batches/b/stream');
  for (const { socket } of [channel, batch]) socket.pause();
  const filler = 'x'.repeat(16 * 1024);
  const action = async (name) => gateway.metric(`sluice_slow_clients_total{action="${name}"}`);
  let sent = 0;
  const flood = async () => {
    for (; sent < 4000 && ((await action('disconnected')) === 0 || (await action('conflated')) === 0); sent += 50)
      await Promise.all(Array.from({ length: 50 }, (_, n) =>
        Promise.all([redis.publish('x', filler), redis.publish('batch:b', JSON.stringify({ n: sent + n, filler }))])));
  };
  const [, peak] = await peakMemory(gateway.pid, flood);
  assert.equal(await action('disconnected'), 1, 'who listens to a channel is cut');
  assert.ok((await action('conflated')) >= 1, 'who watches a batch skips');
  const backlog = await gateway.metric('sluice_sse_backlog_bytes');
  assert.ok(backlog <= 128 * 1024, `${backlog} bytes wait`);
  await until('the reader has all', () => reader.events.length >= sent, 20000);
  report.saw(`after ${sent} messages of 16 KiB the channel's client was cut and the batch's conflated, ${backlog} bytes waiting; who reads got all ${reader.events.length}; ${(peak / 2 ** 20).toFixed(0)} MiB of memory at most`);
  for (const { socket } of [channel, batch]) socket.destroy();
  await reader.close();
});
