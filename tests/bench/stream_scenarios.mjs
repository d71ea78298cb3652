// What is measured of Redis Streams, against the same over Pub/Sub by the same gateway. As scenarios.mjs.

import { runProcess } from '../support/processes.mjs';
import { median } from './report.mjs';

const PATH = '/events/stream?stream={channel}';
const perMillion = ({ serverCpuSeconds, deliveries }) => (serverCpuSeconds.measured.total / deliveries) * 1e6;

/** Redis serves many runs, and a stream stays where a channel does not. */
async function freshRedis({ redisSocket }) {
  await runProcess('redis-cli', ['-s', redisSocket, 'FLUSHALL']);
}

/** The same load over a stream and over a channel, in turn. */
async function streamAndChannel(server, load, options) {
  await freshRedis(server);
  const channel = await load({ ...options, 'settle-ms': 300 });
  const stream = await load({ ...options, 'settle-ms': 300, path: PATH, publish: 'xadd' });
  return { stream, channel };
}

/** What a few clients feel of it, who read another stream at 100 entries a second. */
const bystanders = (seconds) => ({
  priority: 'first', clients: 10, rate: 100, warmup: 100, messages: 100 * seconds, 'settle-ms': 100, 'channel-prefix': 'bystander-', path: PATH, publish: 'xadd',
});

/** The short returns are for the rate; during the long ones others are watched. */
async function comeBack(server, load, { clients, rounds, longRounds }) {
  await freshRedis(server);
  const quiet = await load(bystanders(4));
  const back = (missed, round, priority) => load({
    priority, clients, missed, 'settle-ms': 0, 'connecting-max': 50, 'channel-prefix': `missed-${missed}-${round}-`, path: `${PATH}&since=0`, publish: 'xadd',
  });
  const returns = [];
  for (let round = 0; round < rounds; round++) returns.push(await back(1000, round, 'usual'));
  await freshRedis(server);
  let isWatched = true;
  const beside = load(bystanders(3 * longRounds)).finally(() => (isWatched = false));
  const longReturns = [];
  for (let round = 0; isWatched; round++) longReturns.push(await back(10000, round, 'last'));
  return { returns, longReturns, quiet, beside: await beside };
}

const eventsPerSecond = ({ healthy, seconds: { catchUp } }) => healthy.received / catchUp;
const LABELS = { cpu: 'CPU s per million deliveries', cpuChannel: 'the same over Pub/Sub', cpuRatio: 'ratio' };

export function streamScenarios({ quick }) {
  const seconds = quick ? 4 : 10;
  const costs = ({ stream, channel }) => ({ cpu: perMillion(stream), cpuChannel: perMillion(channel), cpuRatio: perMillion(stream) / perMillion(channel) });
  return [
    {
      id: 'D1',
      inQuick: true,
      title: '1000 clients on one stream, 20 entries/s of 200 bytes',
      targets: ['sluice'],
      measure: (server, load) => streamAndChannel(server, load, { clients: 1000, rate: 20, warmup: 20, messages: 20 * seconds }),
      figures: ({ stream, channel }) => ({
        ...costs({ stream, channel }),
        p50: stream.latencyMs.p50,
        p99: stream.latencyMs.p99,
        p99Channel: channel.latencyMs.p99,
        p99More: stream.latencyMs.p99 - channel.latencyMs.p99,
        faults: faultsOf([stream, channel]),
      }),
      labels: { ...LABELS, p50: 'p50 ms', p99: 'p99 ms', p99Channel: 'p99 ms over Pub/Sub', p99More: 'ms more', faults: 'entries lost, twice, …' },
      bars: [
        { name: 'D1 CPU per delivery ÷ Pub/Sub', figure: 'cpuRatio', strict: 1.1 },
        { name: 'D1 p99 ms more than Pub/Sub', figure: 'p99More', strict: 1.5 },
        { name: 'D1 entries lost, twice, out of order', figure: 'faults', strict: 0 },
      ],
    },
    {
      id: 'D2',
      title: '1000 clients on one stream, 2000 entries/s by pipelined XADD',
      targets: ['sluice'],
      measure: (server, load) => streamAndChannel(server, load, { clients: 1000, rate: 2000, warmup: 1000, messages: 2000 * (quick ? 3 : 5) }),
      figures: ({ stream, channel }) => ({ ...costs({ stream, channel }), faults: faultsOf([stream, channel]) }),
      labels: { ...LABELS, faults: 'entries lost, twice, …' },
      bars: [
        { name: 'D2 CPU per delivery ÷ Pub/Sub', figure: 'cpuRatio', strict: 1.1 },
        { name: 'D2 entries lost, twice, out of order', figure: 'faults', strict: 0 },
      ],
    },
    {
      id: 'D3',
      title: '1000 clients come back for 1000 entries each',
      targets: ['sluice'],
      measure: (server, load) => comeBack(server, load, { clients: 1000, rounds: 3, longRounds: quick ? 1 : 3 }),
      figures: ({ returns, longReturns, quiet, beside }) => ({
        events: median(returns.map(eventsPerSecond)),
        eventsLong: median(longReturns.map(eventsPerSecond)),
        cpu: median(returns.map(({ healthy, serverCpuSeconds: { catchUp } }) => (catchUp.total / healthy.received) * 1e6)),
        p50Quiet: quiet.latencyMs.p50,
        p50: beside.latencyMs.p50,
        p99Quiet: quiet.latencyMs.p99,
        p99: beside.latencyMs.p99,
        slowdown: beside.latencyMs.p99 / quiet.latencyMs.p99,
        memory: Math.max(...longReturns.map(({ serverMemoryBytes: { idle, before } }) => idle.anonymous - before.anonymous)) / 1048576,
        faults: faultsOf([...returns, ...longReturns, quiet, beside]),
      }),
      labels: {
        events: 'events/s', eventsLong: 'events/s, 10000 entries each', cpu: 'CPU s per million events', p50Quiet: 'p50 ms of others, quiet', p50: 'p50 ms of others, meanwhile',
        p99Quiet: 'p99 ms of others, quiet', p99: 'p99 ms of others, meanwhile', slowdown: 'ratio',
        memory: 'MiB more', faults: 'entries lost, twice, …',
      },
      bars: [
        { name: 'D3 events/s', figure: 'events', strict: 500000, atLeast: true },
        { name: 'D3 p99 of others ÷ quiet', figure: 'slowdown', strict: 3 },
        { name: 'D3 entries lost, twice, out of order', figure: 'faults', strict: 0 },
      ],
    },
  ];
}

/** Whatever went wrong for a client that reads. */
function faultsOf(runs) {
  return runs.reduce((sum, { healthy: { lost, duplicate, outOfOrder, corrupt, disconnected } }) => sum + lost + duplicate + outOfOrder + corrupt + disconnected, 0);
}
