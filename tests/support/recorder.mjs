// Never silently stale: numbers everything that is published, and compares what each client got. A client's list is exact, or has a
// `gap` where something is missing; nothing comes twice, nothing out of order.
//
//   const recorder = new Recorder(t, { gateway, redis });
//   await recorder.open();           one client of each kind, and messages begin to flow
//   ... the fault ...
//   const milliseconds = await recorder.live();     until every client has what is published from now on
//   report.saw(await recorder.finish());            compares, and fails with what is wrong

import assert from 'node:assert/strict';
import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { startFaultProxy } from './fault_proxy.mjs';
import { startGateway } from './gateway.mjs';
import { startRedis } from './redis.mjs';
import { SseParser } from './sse.mjs';
import { until } from './wait.mjs';

/** Redis that has after kill -9 what it had before: without it streams begin again. */
export const DURABLE = ['--appendonly', 'yes', '--appendfsync', 'always'];

/** The most that is written at once. */
const BURST = 4;

const CHANNELS = ['rec.a', 'rec.b', 'rec.c'];
const STREAM = 'rec-stream';
const BATCH = 'rec';
const TOPICS = [...CHANNELS, `stream ${STREAM}`, `batch ${BATCH}`];

/** A client's list is in envelopes, is a stream's entries, a batch's progress, or a channel's payloads. */
const READ = {
  envelope: ({ data }) => {
    const { channel, stream, data: payload } = JSON.parse(data);
    return stream ? { topic: `stream ${stream}`, n: Number(payload.n) } : { topic: channel, n: payload };
  },
  entries: ({ data }) => ({ topic: `stream ${STREAM}`, n: Number(JSON.parse(data).n) }),
  progress: ({ data }) => ({ topic: `batch ${BATCH}`, n: JSON.parse(data).progress }),
  payloads: ({ data }) => ({ topic: CHANNELS[0], n: Number(data) }),
};

/** `comesBack`: it is cut every now and then, and comes back with the id of its last event. */
const KINDS = [
  { name: 'one channel', path: `/events/stream?channel=${CHANNELS[0]}`, read: READ.payloads, topics: TOPICS.slice(0, 1) },
  { name: 'several channels', path: `/events/stream?channel=${CHANNELS[0]}&channel=${CHANNELS[1]}`, read: READ.envelope, topics: TOPICS.slice(0, 2) },
  { name: 'a pattern', path: '/events/stream?pattern=rec.*', read: READ.envelope, topics: CHANNELS },
  { name: 'a channel and a pattern over it', path: `/events/stream?channel=${CHANNELS[2]}&pattern=rec.*`, read: READ.envelope, topics: CHANNELS },
  { name: 'a batch', path: `/batches/${BATCH}/stream`, read: READ.progress, topics: TOPICS.slice(4) },
  { name: 'a stream', path: `/events/stream?stream=${STREAM}`, read: READ.entries, topics: TOPICS.slice(3, 4) },
  { name: 'a stream and a channel', path: `/events/stream?stream=${STREAM}&channel=${CHANNELS[1]}`, read: READ.envelope, topics: [TOPICS[1], TOPICS[3]] },
  { name: 'one channel, coming back', path: `/events/stream?channel=${CHANNELS[0]}`, read: READ.payloads, topics: TOPICS.slice(0, 1), comesBack: true },
  { name: 'a batch, coming back', path: `/batches/${BATCH}/stream`, read: READ.progress, topics: TOPICS.slice(4), comesBack: true },
  { name: 'a stream and a channel, coming back', path: `/events/stream?stream=${STREAM}&channel=${CHANNELS[1]}`, read: READ.envelope, topics: [TOPICS[1], TOPICS[3]], comesBack: true },
];

/** A client as EventSource is one, without its delays: when it is cut, it comes back with the id of its last event. */
class Client {
  constructor(origins, kind) {
    Object.assign(this, kind);
    this.origins = origins;
    this.items = []; // {topic, n} and {gap}
    this.last = new Map(); // topic: n
    this.lastEventId = '';
    this.connections = 0;
    this.comments = 0;
    this.isRunning = true;
    this.running = this.#run();
  }

  async #run() {
    while (this.isRunning) {
      await this.#connect();
      if (this.isRunning) await pause(20 + Math.random() * 60);
    }
  }

  #connect() {
    const origin = this.origins[this.connections++ % this.origins.length];
    const headers = this.lastEventId ? { 'last-event-id': this.lastEventId } : {};
    return new Promise((resolve) => {
      this.request = http.get(origin + this.path, { agent: false, headers });
      this.request.on('error', resolve).on('close', resolve);
      this.request.on('response', (response) => {
        const parser = new SseParser();
        parser.lastEventId = this.lastEventId;
        response.on('error', resolve).on('close', resolve);
        response.on('data', (bytes) => {
          if (!this.isRunning) return;
          for (const event of parser.push(bytes)) this.#take(event);
          this.comments += parser.comments;
          parser.comments = 0;
        });
      });
      if (this.comesBack) setTimeout(() => this.request.destroy(), 100 + Math.random() * 400).unref();
    });
  }

  #take(event) {
    this.lastEventId = event.id;
    if (event.event === 'gap') {
      this.items.push({ gap: JSON.parse(event.data) });
      return;
    }
    const item = this.read(event);
    this.items.push(item);
    this.last.set(item.topic, item.n);
  }

  has(topic, n) {
    return (this.last.get(topic) ?? -1) >= n;
  }

  get gaps() {
    return this.items.filter(({ gap }) => gap).map(({ gap }) => gap);
  }

  async stop() {
    this.isRunning = false;
    this.request?.destroy();
    await this.running;
  }
}

/** What is wrong with the list of a client for one topic, when `wanted` numbers were taken by Redis: sentences. */
export function faultsOfList(items, topic, wanted) {
  const problems = [];
  const isSnapshot = topic.startsWith('batch ');
  let last;
  let isToldOf = true; // a list begins anywhere
  for (const item of items) {
    if (item.gap) isToldOf = true;
    if (item.gap || item.topic !== topic) continue;
    const missing = last === undefined ? [] : wanted.filter((n) => n > last && n < item.n);
    if (item.n === last && !(isSnapshot && isToldOf)) problems.push(`${item.n} twice`);
    else if (item.n < last) problems.push(`${item.n} after ${last}`);
    else if (missing.length > 0 && !isToldOf) problems.push(`${missing.length} from ${missing[0]} on missing without a gap`);
    last = Math.max(last ?? item.n, item.n);
    isToldOf = false;
  }
  return problems;
}

export class Recorder {
  /** `redis` may be a function that says which one to write to now. `origins`: gateways that clients go to in turn. */
  constructor(t, { gateway, origins = [gateway.origin], redis, perSecond = 200, kinds = KINDS }) {
    Object.assign(this, { origins, perSecond });
    this.redis = typeof redis === 'function' ? redis : () => redis;
    this.kinds = kinds;
    this.clients = [];
    this.next = 0;
    this.taken = new Map(TOPICS.map((topic) => [topic, []]));
    /** Numbers that Redis neither took nor refused: it went away over them. */
    this.uncertain = 0;
    this.isWriting = false;
    t.after(() => this.close());
  }

  /** Opens `each` clients of each kind; resolves when every one has had an event. */
  async open(each = 1) {
    this.goOn();
    for (let i = 0; i < each; i++) this.clients.push(...this.kinds.map((kind) => new Client(this.origins, kind)));
    await this.live();
  }

  /** At its rate, or as this process gets its turns: what it cannot read in time it must not write. */
  async #write() {
    let last = Date.now();
    for (let owed = 0; this.isWriting; last = Date.now()) {
      await pause(5);
      owed = Math.min(owed + ((Date.now() - last) / 1000) * this.perSecond, BURST);
      for (; owed >= 1 && this.isWriting; owed--) this.#writeNext();
    }
  }

  #writeNext() {
    const n = this.next++;
    const topic = TOPICS[n % TOPICS.length];
    const redis = this.redis();
    const written = this.#commands(topic, n).map((command) => redis.command(...command));
    const taken = this.taken.get(topic);
    Promise.all(written).then(
      () => taken.push(n),
      (problem) => /closed/.test(problem.message) && this.uncertain++,
    );
  }

  #commands(topic, n) {
    if (topic.startsWith('stream')) return [['XADD', STREAM, '*', 'n', n]];
    if (!topic.startsWith('batch')) return [['PUBLISH', topic, n]];
    const update = JSON.stringify({ batchId: BATCH, status: 'PROCESSING', progress: n });
    return [['MULTI'], ['SET', `batch:progress:${BATCH}`, update], ['PUBLISH', `batch:${BATCH}`, update], ['EXEC']];
  }

  /** Waits until every client has, of each of its topics, something that is published from now on: how long that took. */
  async live(milliseconds = 20000) {
    const from = this.next;
    const start = Date.now();
    const behind = () => this.clients.filter((client) => !client.topics.every((topic) => client.has(topic, from)));
    await until('all clients have what is published now', () => behind().length === 0, milliseconds).catch((problem) => {
      throw new Error(`${problem.message}: not ${behind().map(({ name }) => name).join(', ')}`);
    });
    return Date.now() - start;
  }

  /** How many gaps clients were told of. */
  get gapCount() {
    return this.clients.reduce((sum, { gaps }) => sum + gaps.length, 0);
  }

  /** Writes nothing until goOn(). */
  async pause() {
    this.isWriting = false;
    await this.writing;
  }

  goOn() {
    this.isWriting = true;
    this.writing = this.#write();
  }

  /**
   * Stops writing once all have the last numbers, and compares: a sentence for the table, or a failure that says what is wrong.
   * `isStreamAsItIs`: entries that Redis took and lost itself (a failover) are not asked for, only those that it has.
   */
  async finish({ isStreamAsItIs = false } = {}) {
    await this.live();
    await this.pause();
    if (isStreamAsItIs) {
      const entries = await this.redis().command('XRANGE', STREAM, '-', '+');
      this.taken.set(`stream ${STREAM}`, entries.map(([, fields]) => Number(fields[1])));
    }
    await this.close();
    const problems = [];
    let events = 0;
    for (const [index, { name, items, topics }] of this.clients.entries()) {
      for (const topic of topics) {
        const wanted = [...this.taken.get(topic)].sort((one, other) => one - other);
        for (const problem of faultsOfList(items, topic, wanted)) problems.push(`client ${index} (${name}), ${topic}: ${problem}`);
      }
      events += items.filter(({ gap }) => !gap).length;
    }
    assert.equal(problems.length, 0, `${problems.length} faults in the lists: ${problems.slice(0, 6).join('; ')}`);
    return `${this.clients.length} lists of ${events} events exact or with gap (${this.gapCount} gaps)`;
  }

  async close() {
    this.isWriting = false;
    await this.writing;
    await Promise.all(this.clients.map((client) => client.stop()));
  }
}

/**
 * A Redis, a gateway on it behind a bad network (`isDirect`: without), watched by `report`, and a recorder whose clients are all
 * served; all of it ends after test `t`. `redis` and `gateway` are options for startRedis() and startGateway().
 */
export async function startRecorded(t, report, { redis: redisOptions, isDirect = false, tolerances, perSecond, ...options } = {}) {
  const redis = await startRedis({ args: DURABLE, ...redisOptions });
  let gateway;
  t.after(async () => {
    try {
      await gateway?.stop();
    } finally {
      await redis.stop();
    }
  });
  const proxy = isDirect ? undefined : await startFaultProxy(t, redis.socket);
  gateway = await startGateway({ redis: proxy?.url ?? redis, ...options });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message), ...tolerances });
  const recorder = new Recorder(t, { gateway, redis, perSecond });
  await recorder.open(2); // so that mostly every worker has one of each kind
  return { redis, proxy, gateway, recorder };
}
