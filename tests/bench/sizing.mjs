// What a number of clients needs, from the figures of a run: the arithmetic is written out beside its result.

import { median, number } from './report.mjs';

/** How full a core may be so that bursts and newcomers still find room. */
const UTILIZATION = 0.5;
/** Bytes of headers of a segment that carries one event, and of the frame around it: Ethernet, IP, TCP with timestamps. */
const SEGMENT_BYTES = 14 + 20 + 32 + 24;
/** Streams of one process: two descriptors for a moment at each hand-over, and room for requests. */
const CLIENTS_PER_GATEWAY = 100000;

const grouped = (value) => Math.round(value).toLocaleString('en-US');

const EVERYBODY = 'the same for all';
const OWN = 'each its own';

/** Clients, messages/s that each gets, bytes of payload, and whether they are the same for all. */
const LOADS = [
  [1000, 1, 200, EVERYBODY], [10000, 1, 200, EVERYBODY], [10000, 1, 200, OWN], [10000, 10, 200, EVERYBODY], [100000, 1, 200, EVERYBODY],
  [100000, 0.1, 2000, OWN], [1000000, 0.1, 200, EVERYBODY], [1000000, 1, 200, EVERYBODY], [1000000, 0.1, 200, OWN], [1000000, 0.01, 2000, OWN],
];

const runsOf = (records, scenario) => records.filter((record) => record.scenario === scenario && record.target === 'sluice');

/** What the sheet is computed from. */
function basis({ records }) {
  const figure = (scenario, key) => median(runsOf(records, scenario).map(({ figures }) => figures[key]));
  const frame = median(runsOf(records, 'S1').map(({ runs: { main } }) => main.deliveredBytes / main.deliveries)) - 200;
  const few = figure('S1', 'cpu'), many = figure('N1', 'cpu19000');
  return {
    fewUs: few,
    manyUs: Number.isFinite(many) ? Math.max(few, many) : few,
    ownUs: figure('S2', 'cpu'),
    burstUs: figure('S4', 'cpu'),
    bytesPerClient: figure('S3', 'bytesMany'),
    kernelBytesPerClient: figure('S3', 'kernel'),
    connectUs: figure('S3', 'connectCpu') * 100,
    frameBytes: frame,
    channelBytes: figure('C1', 'bytes'),
  };
}

function costUs(clients, kind, { fewUs, manyUs, ownUs }) {
  if (kind === OWN) return ownUs;
  return clients > 1000 ? manyUs : fewUs;
}

function row([clients, rate, payload, kind], from) {
  const deliveries = clients * rate;
  const cores = (deliveries * costUs(clients, kind, from)) / 1e6 / UTILIZATION;
  const gateways = Math.max(1, Math.ceil(clients / CLIENTS_PER_GATEWAY));
  const memory = (clients * (from.bytesPerClient + from.kernelBytesPerClient)) / 1e6;
  const bandwidth = (deliveries * (payload + from.frameBytes + SEGMENT_BYTES) * 8) / 1e6;
  return [grouped(clients), kind, `${rate}`, grouped(payload), grouped(deliveries), number(cores), `${gateways}`, `${grouped(memory)} MB`, `${grouped(bandwidth)} Mbit/s`];
}

function table(header, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, i) => (i ? '---:' : '---'))), ...rows.map(line)].join('\n');
}

/** The same arithmetic for runs that it was not taken from, beside what they used. */
function checks({ records }, from) {
  const rows = [];
  const add = (scenario, run, clients, kind, what) => {
    const runs = runsOf(records, scenario).map((record) => record.runs[run]).filter(Boolean);
    if (runs.length === 0) return;
    const rate = median(runs.map((one) => one.deliveriesPerSecond));
    const used = median(runs.map((one) => one.serverCpuSeconds.measured.total / one.seconds.measured));
    rows.push([what, grouped(rate), number((rate * costUs(clients, kind, from)) / 1e6), `**${number(used)}**`]);
  };
  add('S5', 'main', 100, EVERYBODY, '100 clients, 50 messages/s (S5)');
  add('N1', 'n1000', 1000, EVERYBODY, '1,000 clients, 20 messages/s (N1)');
  add('K1', 'ms0', 1000, EVERYBODY, '1,000 clients, 200 messages/s (K1)');
  add('N1', 'n10000', 10000, EVERYBODY, '10,000 clients, 2 messages/s (N1)');
  return rows;
}

/** The part of docs/PERFORMANCE.md; undefined when the run has not what it is computed from. */
export function sizing(result) {
  const from = basis(result);
  if (!Object.entries(from).every(([key, value]) => Number.isFinite(value) || key === 'channelBytes')) return undefined;
  const { fewUs, manyUs, ownUs, burstUs, bytesPerClient, kernelBytesPerClient, connectUs, frameBytes, channelBytes } = from;
  return [
    'Measured on one core of the machine above, and marked by bold type here:',
    '',
    table(['', '', 'where'], [
      ['CPU per delivery, up to 1,000 clients', `**${number(fewUs)} µs**`, 'S1'],
      ['… with ten thousand and more, whose sockets no cache holds', `**${number(manyUs)} µs**`, 'N1'],
      ['… of messages that only one or two clients get, each of which wakes the process', `**${number(ownUs)} µs**`, 'S2'],
      ['… in bursts', `**${number(burstUs)} µs**`, 'S4'],
      ['memory per idle client', `**${number(bytesPerClient)} bytes**`, 'S3'],
      ['… and what the kernel keeps for its connection, about', `**${grouped(kernelBytesPerClient)} bytes**`, 'S3'],
      ['bytes around a payload (`id:`, `data:`)', `**${number(frameBytes)}**`, 'S1'],
      ['CPU per new stream', `**${number(connectUs)} µs**`, 'S6'],
    ]),
    '',
    'Computed from it, for any number of clients and gateways:',
    '',
    table(['clients', 'messages', 'messages/s each gets', 'payload, bytes', 'deliveries/s', 'cores', 'gateways', 'memory', 'bandwidth'], LOADS.map((load) => row(load, from))),
    '',
    '- deliveries/s = clients × messages/s each gets',
    `- cores = deliveries/s × CPU per delivery ÷ ${UTILIZATION}: half of each core stays free for bursts and newcomers. CPU per delivery is ${number(fewUs)} µs up to 1,000 clients and ` +
      `${number(manyUs)} µs above, or ${number(ownUs)} µs where each client has messages of its own`,
    `- gateways = clients ÷ ${grouped(CLIENTS_PER_GATEWAY)}, rounded up: a process then needs that many descriptors, and a restart moves no more clients. A gateway uses as many cores as it has \`workers\``,
    `- memory = clients × (${number(bytesPerClient)} + ${grouped(kernelBytesPerClient)}) bytes; besides, 2 MB for each gateway, ${number(channelBytes)} bytes for each channel (C1), and up to \`backlog_bytes_max\` for each client that has stalled`,
    `- bandwidth = deliveries/s × (payload + ${number(frameBytes)} + ${SEGMENT_BYTES}) bytes × 8; ${SEGMENT_BYTES} are the headers of a segment: Ethernet with its gaps, IP, TCP`,
    '',
    `A million clients that all come back at once cost 1,000,000 × ${number(connectUs)} µs = ${number(connectUs)} s of CPU. Ten gateways whose clients come back within four seconds (\`retry_min\` 1 s, ` +
      `\`retry_max\` 5 s) need ${number(connectUs)} ÷ 10 ÷ 4 = ${number(connectUs / 40)} of a core each for that time; \`stream_rate_max\` bounds how many each lets in a second.`,
    '',
    'Redis hands each message once to each gateway that has a client for its channel. What ten gateways watch costs it ten sends a message, whatever the clients; a million messages ' +
      'a second that are each for one client only are more than one Redis publishes, and need several.',
    '',
    'How well the arithmetic holds for runs that it was not taken from (cores in use, without the half that stays free):',
    '',
    table(['', 'deliveries/s', 'computed', 'measured'], checks(result, from)),
    '',
    'The largest number of clients that was measured is 19,500, on loopback. Real networks add their latency, and a card and its interrupts their CPU time, which is in none of these figures.',
  ].join('\n');
}
