// Everything at once to one gateway, for as long as wanted; ends by itself, and with 1 when something did not hold.
//
//   node tests/soak/soak.mjs [minutes] [--workers N] [--report] [--json FILE]

import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startGateway } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { writeSection } from '../support/section.mjs';
import { cpuSeconds, vitalsOf } from '../support/vitals.mjs';
import { until } from '../support/wait.mjs';
import { describe, fit, GROWTH_BYTES_MAX, settled, surprises } from './judge.mjs';
import { READ, Reader, Sleeper } from './readers.mjs';
import { Worker } from './worker.mjs';
import { BatchWriter, channelWriter, Jobs, streamWriter } from './writers.mjs';

const CHANNELS = Array.from({ length: 12 }, (_, i) => `soak.chat.${i}`);
const FLOOD = 'soak.flood';
const STREAMS = ['soak-a', 'soak-b', 'soak-c'];
const BATCHES = 4;
const SAMPLE_MS = 5000;
const LINGER_MS = 1000;
const FLAGS = [
  ...['--access-log', 'off', '--subscription-linger', `${LINGER_MS}ms`, '--stall-timeout', '10s', '--heartbeat', '3s'],
  ...['--backlog-bytes-max', '64KiB', '--redis-timeout', '2s'],
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { report: { type: 'boolean' }, json: { type: 'string' }, workers: { type: 'string' } },
});
const minutes = Number(positionals[0] ?? 10);
if (!(minutes > 0)) throw new Error(`not a number of minutes: ${positionals[0]}`);

if (values.workers) FLAGS.push('--workers', values.workers);
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const seconds = (least, most) => () => (least + Math.random() * (most - least)) * 1000;
const say = (text) => console.log(`${new Date().toISOString().slice(11, 19)} ${text}`);

/* --- the world ---------------------------------------------------------------------------------------------------------------- */

const redis = await startRedis();
const gateway = await startGateway({ redis, flags: FLAGS });
const world = {
  redis,
  gateway,
  origin: gateway.origin,
  tally: { published: 0, uncertain: 0, connects: 0, sleepers: 0, events: 0, refused: 0, jobs: 0, wrong: 0, gaps: {}, sentences: [] },
};
const problems = [];
function doesNotHold(sentence) {
  problems.push(sentence);
  say(`does not hold: ${sentence}`);
}
const samples = [];
const started = Date.now();
const first = vitalsOf(gateway.pid);
let restarts = 0;
let cuts = 0;
let checks = 0;
let batchCount = 0;

function channelOptions(channel) {
  return { path: `/events/stream?channel=${channel}`, topics: [channel], read: READ.payload };
}

function severalOptions() {
  const channels = [pick(CHANNELS.slice(0, 6)), pick(CHANNELS.slice(6))];
  return { path: `/events/stream?channel=${channels.join('&channel=')}`, topics: channels, read: READ.envelope };
}

function patternOptions() {
  return { path: '/events/stream?pattern=soak.chat.*', topics: CHANNELS, read: READ.envelope };
}

function streamOptions() {
  const stream = pick(STREAMS);
  return { path: `/events/stream?stream=${stream}`, topics: [`stream:${stream}`], read: READ.payload };
}

function mixedOptions() {
  const [stream, channel] = [pick(STREAMS), pick(CHANNELS)];
  const topics = [`stream:${stream}`, channel];
  return { path: `/events/stream?stream=${stream}&channel=${channel}`, topics, read: READ.envelope };
}

function batchOptions(id) {
  return { path: `/batches/${id}/stream`, topics: [`batch:${id}`], read: READ.payload };
}

const KINDS = [() => channelOptions(pick(CHANNELS)), severalOptions, patternOptions, streamOptions, mixedOptions];

/** What stays as long as the run. */
const steady = KINDS.flatMap((kind, i) => Array.from({ length: 4 }, (_, k) => new Reader(world, { name: `steady ${i}.${k}`, ...kind() })));
steady.push(...[1, 2].map((i) => new Reader(world, { name: `slow ${i}`, isSlow: true, ...channelOptions(FLOOD) })));
const sleepers = [new Sleeper(world, `/events/stream?channel=${FLOOD}`), new Sleeper(world, '/events/stream?pattern=soak.*')];
const writers = [
  ...CHANNELS.map((channel) => channelWriter(world, channel, 4)),
  channelWriter(world, FLOOD, 50, true),
  ...STREAMS.map((stream) => streamWriter(world, stream, 5)),
];
const jobs = new Jobs(world, 'soak-jobs', 5);
const workers = ['one', 'two', 'three'].map((name) => new Worker(world, jobs, name));

/* --- what comes and goes ------------------------------------------------------------------------------------------------------- */

let churn = [];
let batches = [];

function startChurn() {
  churn = Array.from({ length: 24 }, (_, i) => {
    const kind = KINDS[i % KINDS.length];
    return new Reader(world, { name: `churn ${i}`, stays: seconds(0.05, 8), keepsId: i % 4 !== 0, ...kind() });
  });
}

async function stopChurn() {
  await Promise.all(churn.map((reader) => reader.stop()));
  churn = [];
}

function startBatch() {
  const id = `soak-${batchCount++}`;
  const writer = new BatchWriter(world, id, { perSecond: 5, seconds: 20 + Math.random() * 40 });
  const viewers = [undefined, undefined, seconds(0.5, 5)].map((stays, i) => new Reader(world, { name: `viewer ${i} of ${id}`, stays, ...batchOptions(id) }));
  viewers.push(new Reader(world, { name: `slow viewer of ${id}`, isSlow: true, ...batchOptions(id) }));
  batches.push({ writer, viewers, isEnding: false });
}

/** A batch that is over: each of its viewers is told, and goes. When Redis forgets, it is told again. */
async function endBatch(batch) {
  batch.isEnding = true;
  let toldAt = restarts;
  await batch.writer.complete();
  const isOver = async () => {
    if (toldAt !== restarts) {
      toldAt = restarts;
      await batch.writer.complete();
    }
    return batch.viewers.every((viewer) => viewer.isOver);
  };
  try {
    await until(`all viewers of ${batch.writer.id} are told that it is complete`, isOver, 30000);
  } catch (problem) {
    const waiting = batch.viewers.filter((viewer) => !viewer.isOver).map((viewer) => viewer.describe());
    doesNotHold(`${problem.message}: ${waiting.join('; ')}`);
  }
  await Promise.all(batch.viewers.map((viewer) => viewer.stop()));
  batches = batches.filter((other) => other !== batch);
}

async function restartRedis() {
  await redis.kill();
  jobs.forget();
  await pause(Math.random() * 3000);
  await redis.start();
  jobs.forget();
  restarts++;
}

async function cutConnections() {
  await redis.command('CLIENT', 'KILL', 'TYPE', pick(['pubsub', 'normal']), 'SKIPME', 'yes').catch(() => {});
  cuts++;
}

/** Requests of all sorts beside the streams. */
async function makeNoise() {
  const path = pick(['/', '/metrics', '/streams', '/batches/soak-0', '/nothing', '/events/stream', '/healthz', '/events/publish', '/%zz']);
  await gateway.get(path).catch(() => {});
}

/* --- what must hold ------------------------------------------------------------------------------------------------------------ */

function sample() {
  const { memory, descriptors } = vitalsOf(gateway.pid);
  samples.push({ seconds: (Date.now() - started) / 1000, memory, descriptors });
}

async function subscribed() {
  const channels = (await redis.command('PUBSUB', 'CHANNELS')).filter((name) => !/^sluice:|^__redis__:/.test(name));
  const counts = await redis.command('PUBSUB', 'NUMSUB', ...channels);
  return new Map(channels.map((channel, i) => [channel, counts[2 * i + 1]]));
}

/** What Redis and the gauges say, against what there is; undefined when it is so, else a sentence. */
async function mismatch(open) {
  const wanted = new Set(open.flatMap((reader) => (reader.path.includes('pattern=') ? [] : reader.topics.filter((topic) => !topic.startsWith('stream:')))));
  const hasPattern = open.some((reader) => reader.path.includes('pattern='));
  const there = await subscribed();
  const streams = new Set(open.flatMap((reader) => reader.topics.filter((topic) => topic.startsWith('stream:')))).size;
  const patterns = await redis.command('PUBSUB', 'NUMPAT');
  const names = (list) => [...list].sort().join(' ');
  if (names(there.keys()) !== names(wanted)) return `subscribed: ${names(there.keys())}; wanted: ${names(wanted)}`;
  if ([...there.values()].some((count) => count !== 1)) return `subscribed more than once: ${JSON.stringify([...there])}`;
  if (patterns !== (hasPattern ? 1 : 0)) return `${patterns} patterns`;
  const gauges = [
    ['sluice_sse_clients', open.length],
    ['sluice_redis_subscriptions', wanted.size + patterns],
    ['sluice_group_consumers', 0],
    ['sluice_redis_up', 1],
  ];
  for (const [name, value] of gauges) {
    const seen = await gateway.metric(name);
    if (seen !== value) return `${name} is ${seen}, not ${value}`;
  }
  const watched = await gateway.metric('sluice_streams_watched');
  if (watched !== streams) return `sluice_streams_watched is ${watched}, not ${streams}`;
  return undefined;
}

async function holds(what, open) {
  let last;
  try {
    await until(what, async () => !(last = await mismatch(open).catch((problem) => problem.message)), 30000);
  } catch {
    doesNotHold(`${what}: ${last}`);
  }
}

let quietDescriptors;

/** Everything that moves stops for a moment; what stays is compared. */
async function check() {
  await Promise.all([stopChurn(), ...sleepers.splice(0).map((sleeper) => sleeper.stop()), ...workers.splice(0).map((worker) => worker.stop())]);
  while (batches.length > 0) await Promise.all(batches.map(endBatch));
  await until('all steady readers are back', () => steady.every((reader) => reader.isOpen), 60000).catch((problem) => doesNotHold(problem.message));
  // The slow ones may be let go at any moment.
  const slow = steady.filter((reader) => reader.isSlow);
  for (const reader of slow) reader.isSlow = false;
  await pause(LINGER_MS * 2);
  await holds('subscriptions and gauges are those of the clients', steady);
  const { descriptors } = vitalsOf(gateway.pid);
  quietDescriptors ??= descriptors;
  if (Math.abs(descriptors - quietDescriptors) > 4) doesNotHold(`${descriptors} descriptors in a quiet moment, ${quietDescriptors} in the first one`);
  for (const reader of slow) reader.isSlow = true;
  checks++;
}

function goOn() {
  startChurn();
  for (let i = 0; i < BATCHES; i++) startBatch();
  workers.push(...['one', 'two', 'three'].map((name) => new Worker(world, jobs, name)));
  sleepers.push(new Sleeper(world, `/events/stream?channel=${FLOOD}`), new Sleeper(world, '/events/stream?pattern=soak.*'));
}

/* --- the run ------------------------------------------------------------------------------------------------------------------- */

const end = started + minutes * 60000;
const every = (milliseconds) => ({ milliseconds, next: Date.now() + milliseconds });
const clocks = {
  sample: every(SAMPLE_MS),
  restart: every(Number(process.env.SOAK_RESTART_MS ?? 97000)),
  cut: every(Number(process.env.SOAK_CUT_MS ?? 41000)),
  check: every(180000),
  say: every(60000),
};
const isDue = (clock) => Date.now() >= clock.next && (clock.next = Date.now() + clock.milliseconds) > 0;

say(`gateway ${gateway.pid} on ${gateway.origin}, ${minutes} minutes`);
startChurn();
for (let i = 0; i < BATCHES; i++) startBatch();
try {
  while (Date.now() < end) {
    await pause(200);
    if (gateway.process.child.exitCode !== null || gateway.process.child.signalCode !== null) throw new Error('the gateway has ended');
    if (isDue(clocks.sample)) sample();
    if (isDue(clocks.restart)) await restartRedis();
    if (isDue(clocks.cut)) await cutConnections();
    for (const batch of batches) {
      if (!batch.writer.isDue || batch.isEnding) continue;
      endBatch(batch);
      startBatch();
    }
    await makeNoise();
    if (isDue(clocks.check) && end - Date.now() > 60000) {
      await check();
      goOn();
    }
    if (isDue(clocks.say)) {
      const { memory, descriptors } = samples.at(-1);
      say(`${(memory / 2 ** 20).toFixed(1)} MiB, ${descriptors} descriptors, ${world.tally.events} events, wrong: ${world.tally.wrong}, problems: ${problems.length}`);
    }
  }
  // The workers' last jobs.
  await until('all jobs are acknowledged', () => jobs.late(15000).length === 0, 60000).catch(() => doesNotHold(`jobs nobody acknowledged: ${jobs.late(15000).slice(0, 5)}`));
  await check();
  await Promise.all([jobs.stop(), ...writers.map((writer) => writer.stop()), ...steady.map((reader) => reader.stop())]);
  await pause(LINGER_MS * 2);
  await holds('nothing is subscribed when everybody has left', []);
} catch (problem) {
  doesNotHold(problem.stack);
}

/* --- the end ------------------------------------------------------------------------------------------------------------------- */

const isAlive = gateway.process.child.exitCode === null && gateway.process.child.signalCode === null;
const spent = isAlive ? cpuSeconds(gateway.pid) : 0;
await gateway.stop().catch((problem) => doesNotHold(problem.message));
await redis.stop();

const memory = fit(settled(samples).map((one) => [one.seconds, one.memory]));
if (memory.growth > GROWTH_BYTES_MAX) doesNotHold(`memory grew by ${memory.growth} bytes`);
if (world.tally.wrong > 0) doesNotHold(`${world.tally.wrong} faults in the lists: ${world.tally.sentences.slice(0, 3).join('; ')}`);
for (const line of surprises(gateway.log)) doesNotHold(`in the log: ${line}`);

const figures = { minutes: (Date.now() - started) / 60000, problems, tally: world.tally, samples, first, memory, checks, restarts, cuts, cpuSeconds: spent };
const section = describe(process.env.SOAK_RUN ?? 'A run', figures);
console.log(section);
if (values.json) writeFileSync(values.json, JSON.stringify(figures, null, 1));
if (values.report) writeSection('docs/RELIABILITY.md', 'soak', section);
process.exit(problems.length > 0 ? 1 : 0);
