// What must not grow with size: cost per delivery as clients of a channel or channels of the process become many, 200 channels in one
// stream, payloads of a megabyte. As scenarios.mjs.

import { median } from './report.mjs';
import { latencies, paced, perMillion } from './scenarios.mjs';

const CLIENT_STEPS = [10, 100, 1000, 10000, 19000];
const CHANNEL_STEPS = [0, 100, 1000, 10000, 100000];
const CHANNELS_PER_CLIENT = 100;
const DELIVERIES_PER_SECOND = 20000;

const grouped = (number) => number.toLocaleString('en-US');
const mibibytes = (bytes) => bytes / 1048576;

/** The same deliveries a second, to ever more clients of one channel. */
function clientsGrow({ quick }) {
  const seconds = quick ? 3 : 6;
  const runs = CLIENT_STEPS.map((clients) => [`n${clients}`, { ...paced(seconds, DELIVERIES_PER_SECOND / clients, { clients }), warmup: 2 }]);
  for (const [, run] of runs) run.messages = Math.max(2, Math.ceil(run.messages));
  return {
    id: 'N1',
    title: `one channel, ${grouped(DELIVERIES_PER_SECOND)} deliveries/s, as its clients become many`,
    targets: ['limit', 'sluice'],
    runs: Object.fromEntries(runs),
    figures: (results) => Object.fromEntries(CLIENT_STEPS.map((clients) => [`cpu${clients}`, perMillion(results[`n${clients}`])])),
    labels: Object.fromEntries(CLIENT_STEPS.map((clients) => [`cpu${clients}`, `CPU s per million deliveries, ${grouped(clients)} clients`])),
    bars: CLIENT_STEPS.slice(2).map((clients) => ({
      name: `N1 CPU per delivery ÷ limit, ${grouped(clients)} clients`, figure: `cpu${clients}`, dividedBy: 'limit', strict: 1.25,
    })),
  };
}

/** Subscribes the channels numbered from `from` to `to`, by clients that leave again: the subscriptions linger. */
const lingering = (load, from, to) => load({
  path: '/events/stream?{channels}', 'channel-prefix': `lingering-${to}-`, channels: to - from, 'channels-per-client': CHANNELS_PER_CLIENT,
  clients: (to - from) / CHANNELS_PER_CLIENT, 'settle-ms': 300, 'leave-ms': 2600, 'connecting-max': 20,
});

async function channelsGrow(server, load) {
  const steps = [];
  for (let i = 0; i < CHANNEL_STEPS.length; i++) {
    const [before, count] = [CHANNEL_STEPS[i - 1] ?? 0, CHANNEL_STEPS[i]];
    const subscribed = count > before ? await lingering(load, before, count) : undefined;
    const delivered = await load({ ...paced(5, 20, { clients: 1000 }), 'channel-prefix': `watched-${count}-` });
    const unwatched = count > before
      ? await load({ clients: 0, channels: count - before, 'channel-prefix': `lingering-${count}-`, messages: 20000, rate: 20000, 'settle-ms': 300 })
      : undefined;
    steps.push({ count, more: count - before, subscribed, delivered, unwatched });
  }
  return { steps };
}

const channelScenario = {
  id: 'C1',
  title: 'as the channels that are subscribed become many',
  targets: ['sluice'],
  serverFlags: { sluice: ['--subscription-linger', '10m', '--topics-per-stream-max', '200'] },
  measure: channelsGrow,
  figures({ steps }) {
    const last = steps.at(-1);
    const figures = Object.fromEntries(steps.map(({ count, delivered }) => [`cpu${count}`, perMillion(delivered)]));
    for (const { count, unwatched } of steps.slice(1)) figures[`message${count}`] = (unwatched.serverCpuSeconds.measured.total / unwatched.publisher.published) * 1e6;
    figures.growth = figures[`cpu${last.count}`] / median(steps.slice(0, 3).map(({ count }) => figures[`cpu${count}`]));
    const { left, before } = last.subscribed.serverMemoryBytes;
    figures.bytes = (left.anonymous - before.anonymous) / last.more;
    figures.subscribeCpu = (last.subscribed.serverCpuSeconds.connect.total / last.more) * 1e6;
    return figures;
  },
  labels: {
    ...Object.fromEntries(CHANNEL_STEPS.map((count) => [`cpu${count}`, `CPU s per million deliveries beside ${grouped(count)} channels`])),
    ...Object.fromEntries(CHANNEL_STEPS.slice(1).map((count) => [`message${count}`, `CPU µs per message nobody watches, ${grouped(count)} channels`])),
    growth: 'CPU per delivery, 100,000 channels ÷ few',
    bytes: 'bytes per channel',
    subscribeCpu: 'CPU µs to subscribe a channel',
  },
  bars: [{ name: 'C1 CPU per delivery, 100,000 channels ÷ few', figure: 'growth', strict: 1.25 }],
};

function manyInOne({ quick }) {
  const load = paced(quick ? 3 : 5, 2000, { clients: 100 });
  return {
    id: 'M1',
    title: '100 clients with 200 channels in one stream each, 2,000 messages/s over all',
    targets: ['sluice'],
    runs: { one: load, many: { ...load, path: '/events/stream?{channels}', channels: 200, 'channels-per-client': 200 } },
    figures: ({ one, many }) => ({ cpu: perMillion(many), cpuOne: perMillion(one), ratio: perMillion(many) / perMillion(one), p99: many.latencyMs.p99, p99One: one.latencyMs.p99 }),
    labels: { cpu: 'CPU s per million deliveries', cpuOne: 'the same with one channel', ratio: 'ratio', p99: 'p99 ms', p99One: 'p99 ms with one channel' },
    bars: [],
  };
}

function largePayloads({ quick }) {
  return {
    id: 'L1',
    title: '100 clients, 5 messages/s of 1 MB',
    targets: ['limit', 'sluice'],
    runs: { main: { ...paced(quick ? 3 : 6, 5, { clients: 100, 'payload-bytes': 1000000 }), 'patience-ms': 10000 } },
    figures: ({ main }) => ({
      cpu: (main.serverCpuSeconds.measured.total / main.deliveredBytes) * 1e9,
      rate: mibibytes(main.deliveredBytes) / main.seconds.measured,
      memory: mibibytes(main.serverMemoryBytes.after.anonymous - main.serverMemoryBytes.before.anonymous),
      ...latencies(main),
    }),
    labels: { cpu: 'CPU s per GB', rate: 'MiB/s', memory: 'MiB more', p50: 'p50 ms', p99: 'p99 ms' },
    bars: [{ name: 'L1 CPU per byte ÷ limit', figure: 'cpu', dividedBy: 'limit', strict: 1.25 }],
  };
}

export function growthScenarios(options) {
  return [clientsGrow(options), channelScenario, manyInOne(options), largePayloads(options)];
}
