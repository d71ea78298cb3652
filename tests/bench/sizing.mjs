// What a number of clients needs, from the figures of a run: the arithmetic is written out beside its result.

import { median, number } from './report.mjs';

/** How full a core may be so that bursts and newcomers still find room. */
const UTILIZATION = 0.5;
/** Bytes of headers of a segment that carries one event, and of the frame around it: Ethernet, IP, TCP with timestamps. */
const SEGMENT_BYTES = 14 + 20 + 32 + 24;
/** Streams of one process: two descriptors for a moment at each hand-over, and room for requests. */
const CLIENTS_PER_GATEWAY = 100000;

const grouped = (value) => Math.round(value).toLocaleString('en-US');

/** What the sheet is computed from, each with the scenario it was measured in. */
export function basis({ records }) {
  const figure = (scenario, key) =>
    median(records.filter((record) => record.scenario === scenario && record.target === 'sluice').map(({ figures }) => figures[key]));
  const main = (scenario, read) =>
    median(records.filter((record) => record.scenario === scenario && record.target === 'sluice').map(({ runs }) => read(runs.main)));
  return {
    cpuUs: figure('S1', 'cpu'),
    cpuManyUs: figure('N1', 'cpu19000'),
    cpuBurstUs: figure('S4', 'cpu'),
    bytesPerClient: figure('S3', 'bytesMany'),
    kernelBytesPerClient: figure('S3', 'kernel'),
    connectUs: figure('S3', 'connectCpu') * 100,
    frameBytes: main('S1', ({ deliveredBytes, deliveries }) => deliveredBytes / deliveries) - 200,
  };
}

const LOADS = [
  [1000, 1, 200], [10000, 1, 200], [10000, 10, 200], [50000, 1, 200], [100000, 1, 200], [100000, 0.1, 2000], [1000000, 0.1, 200], [1000000, 1, 200], [1000000, 0.01, 2000],
];

function row([clients, rate, payload], { cpuUs, cpuManyUs, bytesPerClient, kernelBytesPerClient, frameBytes }) {
  const perDelivery = clients > 1000 && Number.isFinite(cpuManyUs) ? Math.max(cpuUs, cpuManyUs) : cpuUs;
  const deliveries = clients * rate;
  const cores = (deliveries * perDelivery) / 1e6 / UTILIZATION;
  const gateways = Math.max(1, Math.ceil(clients / CLIENTS_PER_GATEWAY));
  const memory = (clients * (bytesPerClient + kernelBytesPerClient)) / 1e9;
  const bandwidth = (deliveries * (payload + frameBytes + SEGMENT_BYTES) * 8) / 1e9;
  return [grouped(clients), `${rate}`, `${payload}`, grouped(deliveries), number(cores), `${gateways}`, `${number(memory)} GB`, `${number(bandwidth)} Gbit/s`];
}

export function sizing(result) {
  const from = basis(result);
  if (!Number.isFinite(from.cpuUs) || !Number.isFinite(from.bytesPerClient)) return undefined;
  const cpu = Number.isFinite(from.cpuManyUs) ? Math.max(from.cpuUs, from.cpuManyUs) : from.cpuUs;
  const lines = [
    `Measured: **${number(from.cpuUs)} µs** of CPU per delivery at 1,000 clients (S1)${Number.isFinite(from.cpuManyUs) ? ` and **${number(from.cpuManyUs)} µs** at 19,000 (N1)` : ''}; ` +
      `${number(from.cpuBurstUs)} µs where messages come in bursts (S4). **${number(from.bytesPerClient)} bytes** of memory per idle client (S3), and about ` +
      `**${number(from.kernelBytesPerClient)} bytes** that the kernel keeps for its connection. **${number(from.frameBytes)} bytes** around a payload (\`id:\`, \`data:\`). ` +
      `**${number(from.connectUs)} µs** of CPU per new stream (S6).`,
    '',
    '| clients | messages/s each gets | payload, bytes | deliveries/s | cores | gateways | memory | bandwidth |',
    '| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...LOADS.map((load) => `| ${row(load, from).join(' | ')} |`),
    '',
    `- deliveries/s = clients × messages/s each gets. The messages may be the same for all or others for each: a delivery costs one \`send\`.`,
    `- cores = deliveries/s × ${number(cpu)} µs ÷ ${UTILIZATION}: half of each core stays free for bursts and newcomers. (${number(from.cpuUs)} µs up to 1,000 clients.)`,
    `- gateways = clients ÷ ${grouped(CLIENTS_PER_GATEWAY)} a process, rounded up: two hundred thousand descriptors at most, and a restart moves no more than these. Each gateway may have as many of the cores as it has \`workers\`.`,
    `- memory = clients × (${number(from.bytesPerClient)} + ${number(from.kernelBytesPerClient)}) bytes, plus some 2 MB a gateway, plus \`backlog_bytes_max\` for each client that has stalled.`,
    `- bandwidth = deliveries/s × (payload + ${number(from.frameBytes)} + ${SEGMENT_BYTES}) bytes × 8; ${SEGMENT_BYTES} are the headers of a segment (Ethernet with its gaps, IP, TCP).`,
    `- All of a million clients coming back at once cost 1,000,000 × ${number(from.connectUs)} µs = ${number((1e6 * from.connectUs) / 1e6)} s of CPU; over ten gateways with \`retry_min\` and \`retry_max\` of 1 s and 5 s, ` +
      `that is ${number((1e6 * from.connectUs) / 1e6 / 10 / 4)} of a core of each for four seconds.`,
    `- Redis hands each message once to each gateway that has a client for its channel: a channel that all ten gateways watch costs it ten sends a message, whatever the clients.`,
    '',
    'Measured are the figures in bold, on one machine and core with up to 19,500 clients; each row of the table is computed from them. Latency over a real network, and cards and drivers that carry it, are in none of them.',
  ];
  return lines.join('\n');
}
