// What is measured. Each scenario has one or more runs of the load generator (or a `measure` of its own), figures that are read off
// their results, and bars. Options are those of `load`.

import { readFileSync } from 'node:fs';
import { runProcess } from '../support/processes.mjs';
import { accessScenarios } from './access_scenarios.mjs';
import { featureScenarios } from './feature_scenarios.mjs';
import { growthScenarios } from './growth_scenarios.mjs';
import { streamScenarios } from './stream_scenarios.mjs';

/** Descriptors a process may have; server and load generator each need one per client. */
const DESCRIPTORS = Number(/Max open files +\d+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);

const MANY = Math.min(19500, DESCRIPTORS - 500);
const SOME = Math.min(10000, MANY);
const THOUSAND = Math.min(1000, MANY);

export const perMillion = ({ serverCpuSeconds, deliveries }) => (serverCpuSeconds.measured.total / deliveries) * 1e6;
const bytesPerClient = ({ serverMemoryBytes: { before, idle }, healthy }) => (idle.anonymous - before.anonymous) / healthy.clients;
/** Both ends of a connection are on this machine, and what else it does is in it, too: an estimate. */
const kernelBytesPerClient = ({ machineSlabBytes: { before, idle }, healthy }) => (idle - before) / healthy.clients / 2;
export const paced = (seconds, rate, options) => ({ rate, warmup: rate, messages: seconds * rate, 'settle-ms': 300, ...options });
/** With the publisher's own worst delay: where that is many ms, the machine was too busy to trust the latencies. */
export const latencies = ({ latencyMs: { p50, p90, p99, p999, max }, publisher }) => ({ p50, p90, p99, p999, max, late: publisher.lateMsMax });

export const LATENCY_FIGURES = { p50: 'p50 ms', p90: 'p90 ms', p99: 'p99 ms', p999: 'p99.9 ms', max: 'max ms', late: 'publisher behind, max ms' };
const ALL = ['limit', 'coalesced', 'sluice', 'peers'];

/** Ten reads of one snapshot: the first goes to Redis, the others are answered from the process. */
async function readSnapshotTenTimes({ port, redisSocket }) {
  const id = 'bench-snapshot';
  const snapshot = JSON.stringify({ batchId: id, status: 'RUNNING', progress: 42 });
  await runProcess('redis-cli', ['-s', redisSocket, 'SET', `batch:progress:${id}`, snapshot]);
  const origin = `http://127.0.0.1:${port}`;
  const counter = async (name) => {
    const text = await (await fetch(`${origin}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(text)?.[1] ?? NaN);
  };
  const before = [await counter('sluice_cache_hits_total'), await counter('sluice_cache_misses_total')];
  const headers = [];
  for (let i = 0; i < 10; i++) {
    const response = await fetch(`${origin}/batches/${id}`);
    if (response.status !== 200 || (await response.text()) !== snapshot) throw new Error(`GET /batches/${id}: ${response.status}`);
    headers.push(response.headers.get('x-cache'));
  }
  const hits = (await counter('sluice_cache_hits_total')) - before[0];
  const misses = (await counter('sluice_cache_misses_total')) - before[1];
  return { hits, misses, headers };
}

/** All there are. `quick` makes them short; figures are then rougher, not different. */
export function allScenarios(options) {
  return [...coreScenarios(options), ...streamScenarios(options), ...growthScenarios(options), ...featureScenarios(options), ...accessScenarios(options)];
}

function coreScenarios({ quick }) {
  const seconds = quick ? 3 : 10;
  const ours = quick ? ['limit', 'sluice'] : ALL;
  const withPeers = quick ? [...ours, 'peers'] : ALL;
  const beside = (stalled) => paced(quick ? 3 : 5, 2000, { clients: 100, stalled, 'payload-bytes': 2048, warmup: 1000 });
  return [
    {
      id: 'S1',
      inQuick: true,
      title: `${THOUSAND} clients on one channel, 20 messages/s of 200 bytes`,
      targets: withPeers,
      runs: { main: paced(seconds, 20, { clients: THOUSAND }) },
      figures: ({ main }) => ({ cpu: perMillion(main), ...latencies(main) }),
      labels: { cpu: 'CPU s per million deliveries', ...LATENCY_FIGURES },
      bars: [
        { name: 'S1 CPU per delivery ÷ limit', figure: 'cpu', dividedBy: 'limit', today: 1.25, strict: 1.1 },
        { name: 'S1 p99 ÷ limit', figure: 'p99', dividedBy: 'limit', today: 1.3, strict: 1.15 },
        { name: 'S1 CPU per delivery ÷ Nchan with Redis', figure: 'cpu', dividedBy: 'nchan-redis', strict: 0.75 },
      ],
    },
    {
      id: 'S2',
      inQuick: true,
      title: `${SOME / 2} channels with 2 clients each, 1 message/s on each`,
      targets: withPeers,
      runs: { main: paced(seconds, SOME / 2, { clients: SOME, channels: SOME / 2 }) },
      figures: ({ main }) => ({ cpu: perMillion(main), ...latencies(main) }),
      labels: { cpu: 'CPU s per million deliveries', ...LATENCY_FIGURES },
      bars: [
        { name: 'S2 CPU per delivery ÷ limit', figure: 'cpu', dividedBy: 'limit', strict: 1.25 },
        { name: 'S2 CPU per delivery ÷ Nchan with Redis', figure: 'cpu', dividedBy: 'nchan-redis', strict: 0.55 },
      ],
    },
    {
      id: 'S3',
      inQuick: true,
      title: `idle clients: memory, and S6, the CPU that connecting takes`,
      targets: quick ? ours : ['limit', 'sluice', 'peers'],
      runs: {
        // What connecting took besides is given back after one to two seconds without newcomers.
        some: { clients: SOME, 'settle-ms': 2600 },
        many: { clients: MANY, 'settle-ms': 2600, 'connecting-max': 100 },
      },
      figures: ({ some, many }) => ({
        bytesSome: bytesPerClient(some),
        bytesMany: bytesPerClient(many),
        connectCpu: (some.serverCpuSeconds.connect.total / some.healthy.clients) * 10000,
        connectSeconds: some.seconds.connect,
        settleCpu: many.serverCpuSeconds.settle.total,
        kernel: kernelBytesPerClient(many),
      }),
      labels: {
        bytesSome: `bytes per client, ${SOME}`,
        bytesMany: `bytes per client, ${MANY}`,
        connectCpu: 'CPU s to connect 10000',
        connectSeconds: 's until all are subscribed',
        settleCpu: 'CPU s in 2.6 s of rest after',
        kernel: `bytes of kernel memory per client, ${MANY}`,
      },
      bars: [
        { name: `S3 bytes per idle client, ${SOME}`, figure: 'bytesSome', today: 1024, strict: 400 },
        { name: `S3 bytes per idle client, ${MANY}`, figure: 'bytesMany', today: 1024, strict: 400 },
        { name: 'S6 CPU per new stream ÷ limit', figure: 'connectCpu', dividedBy: 'limit', strict: 2 },
        { name: 'S6 CPU per new stream ÷ Nchan', figure: 'connectCpu', dividedBy: 'nchan', strict: 1 },
      ],
    },
    {
      id: 'S4',
      inQuick: true,
      title: `a burst of 5000 messages to ${THOUSAND} clients`,
      targets: quick ? ['coalesced', 'sluice'] : ALL,
      runs: { main: { clients: THOUSAND, rate: 0, messages: 5000, 'settle-ms': 300 } },
      figures: ({ main }) => ({ deliveries: main.deliveriesPerSecond, cpu: perMillion(main) }),
      labels: { deliveries: 'deliveries/s', cpu: 'CPU s per million deliveries' },
      bars: [
        { name: 'S4 deliveries/s ÷ limit, coalesced', figure: 'deliveries', dividedBy: 'coalesced', strict: 0.7, atLeast: true },
        { name: 'S4 deliveries/s ÷ Nchan', figure: 'deliveries', dividedBy: 'nchan', strict: 50, atLeast: true },
        { name: 'S4 deliveries/s ÷ Nchan with Redis', figure: 'deliveries', dividedBy: 'nchan-redis', strict: 50, atLeast: true },
      ],
    },
    {
      id: 'S5',
      inQuick: true,
      title: '100 clients on one channel, 50 messages/s',
      targets: ours,
      runs: { main: paced(seconds, 50, { clients: 100 }) },
      figures: ({ main }) => ({ cpu: perMillion(main), ...latencies(main) }),
      labels: { cpu: 'CPU s per million deliveries', ...LATENCY_FIGURES },
      bars: [
        { name: 'S5 p99 ms', figure: 'p99', today: 10 },
        { name: 'S5 p99 ÷ limit', figure: 'p99', dividedBy: 'limit', strict: 1.2 },
      ],
    },
    {
      id: 'S7',
      inQuick: true,
      title: '100 clients beside 20 that never read, 2000 messages/s of 2 KB',
      targets: ours,
      runs: { stalled: beside(20), alone: beside(0) },
      figures: ({ stalled, alone }) => ({
        deliveries: stalled.deliveriesPerSecond,
        p99: stalled.latencyMs.p99,
        p99Alone: alone.latencyMs.p99,
        slowdown: stalled.latencyMs.p99 / alone.latencyMs.p99,
        cpu: perMillion(stalled),
        memory: (stalled.serverMemoryBytes.after.anonymous - alone.serverMemoryBytes.after.anonymous) / 20 / 1048576,
      }),
      labels: {
        deliveries: 'healthy deliveries/s',
        p99: 'healthy p99 ms',
        p99Alone: 'p99 ms without the stalled',
        slowdown: 'p99 ÷ without',
        cpu: 'CPU s per million deliveries',
        memory: 'MiB more per stalled client',
      },
      bars: [
        { name: 'S7 healthy p99 ÷ without the stalled', figure: 'slowdown', strict: 1.1 },
        { name: 'S7 MiB per stalled client', figure: 'memory', strict: 1 },
      ],
    },
    {
      id: 'S8',
      inQuick: true,
      title: 'ten reads of one snapshot',
      targets: ['sluice'],
      measure: readSnapshotTenTimes,
      figures: ({ hits, misses }) => ({ hits, misses }),
      labels: { hits: 'cache hits', misses: 'cache misses' },
      bars: [
        { name: 'S8 cache hits of ten reads', figure: 'hits', today: 9, strict: 9, atLeast: true },
        { name: 'S8 cache misses', figure: 'misses', today: 1, strict: 1 },
      ],
    },
  ];
}
