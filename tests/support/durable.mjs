// Clients that come back until they have everything, and what Redis says they should have.

import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { SseParser } from './sse.mjs';
import { until } from './wait.mjs';

/** Adds `count` entries of one field `n`, counted from `from`, in one pipeline; returns their ids. */
export function addEntries(redis, stream, count, from = 0) {
  return Promise.all(Array.from({ length: count }, (_, i) => redis.command('XADD', stream, '*', 'n', from + i)));
}

/** All entries of a stream behind `after` as Redis has them, as `id n`. */
export async function entriesOf(redis, stream, after = '0-0') {
  const list = [];
  for (let from = `(${after}`; ; from = `(${list.at(-1).split(' ')[0]}`) {
    const page = await redis.command('XRANGE', stream, from, '+', 'COUNT', 5000);
    list.push(...page.map(([id, fields]) => `${id} ${fields[1]}`));
    if (page.length < 5000) return list;
  }
}

/**
 * A client that comes back with the id of its last event whenever it is cut, as EventSource does but without its delays, and
 * keeps what it got of each stream in the form of entriesOf().
 */
export class Follower {
  /**
   * `origins` are the gateways it goes to in turn. `idBy` is 'header', or the name of a query parameter. `stream` is the name of the
   * only stream; without it the events are envelopes.
   */
  constructor({ origins, path, idBy = 'header', stream }) {
    Object.assign(this, { origins, path, idBy, stream });
    this.entries = new Map();
    this.channels = [];
    this.gaps = [];
    this.refusals = 0;
    this.connections = 0;
    this.lastEventId = '';
    this.isFollowing = true;
    this.following = this.#follow();
  }

  of(stream) {
    if (!this.entries.has(stream)) this.entries.set(stream, []);
    return this.entries.get(stream);
  }

  cut() {
    this.request?.destroy();
  }

  async stop() {
    this.isFollowing = false;
    this.cut();
    await this.following;
  }

  async #follow() {
    while (this.isFollowing) {
      await this.#connect();
      await pause(5 + Math.random() * 40);
    }
  }

  #connect() {
    const id = this.lastEventId;
    const query = id && this.idBy !== 'header' ? `&${this.idBy}=${encodeURIComponent(id)}` : '';
    const headers = id && this.idBy === 'header' ? { 'last-event-id': id } : {};
    const origin = this.origins[this.connections++ % this.origins.length];
    return new Promise((resolve) => {
      this.request = http.get(origin + this.path + query, { agent: false, headers });
      this.request.on('error', resolve).on('close', resolve);
      this.request.on('response', (response) => {
        // As in EventSource, the id outlives the connection, and an event that was cut short does not count.
        const parser = new SseParser();
        parser.lastEventId = this.lastEventId;
        response.on('error', resolve).on('close', resolve);
        response.on('data', (bytes) => {
          if (!this.isFollowing) return;
          for (const event of parser.push(bytes)) this.#take(event);
        });
      });
    });
  }

  #take({ event, data, id }) {
    this.lastEventId = id;
    if (event === 'gap') this.gaps.push(JSON.parse(data));
    else if (event === 'refused') this.refusals++;
    else if (this.stream) this.of(this.stream).push(`${id} ${JSON.parse(data).n}`);
    else this.#takeEnvelope(JSON.parse(data));
  }

  #takeEnvelope({ stream, id, channel, data }) {
    if (stream) this.of(stream).push(`${id} ${data.n}`);
    else this.channels.push({ channel, data });
  }
}

/** How a client's list differs from what it should be: {lost, duplicated, misplaced}. */
export function compareLists(got, wanted) {
  const seen = new Set();
  let duplicated = 0;
  let misplaced = 0;
  const places = new Map(wanted.map((entry, place) => [entry, place]));
  let last = -1;
  for (const entry of got) {
    const place = places.get(entry);
    if (seen.has(entry)) duplicated++;
    else if (place === undefined || place < last) misplaced++;
    seen.add(entry);
    last = Math.max(last, place ?? -1);
  }
  return { lost: wanted.filter((entry) => !seen.has(entry)).length, duplicated, misplaced };
}

/** Writes to streams at a steady rate until stop(), over every death of Redis. */
export class Writer {
  constructor(redis, { streams, channel, perSecond }) {
    Object.assign(this, { redis, streams, channel, perSecond });
    this.written = 0;
    this.isWriting = true;
    this.writing = this.#write();
  }

  async #write() {
    const start = Date.now();
    while (this.isWriting) {
      const due = Math.floor(((Date.now() - start) / 1000) * this.perSecond) - this.written;
      const answers = [];
      for (let i = 0; i < due; i++) answers.push(this.#add(this.written++));
      await Promise.allSettled(answers);
      await pause(4);
    }
  }

  /** Whether an entry that Redis died over is there or not, Redis decides. */
  #add(n) {
    const stream = this.streams[n % this.streams.length];
    if (this.channel && n % 10 === 0) this.redis.command('PUBLISH', this.channel, String(n)).catch(() => {});
    return this.redis.command('XADD', stream, '*', 'n', n);
  }

  async stop() {
    this.isWriting = false;
    await this.writing;
  }
}

/** Waits until each follower has the last entry that Redis has of each of `streams` that it follows. */
export async function caughtUp(followers, redis, streams, milliseconds = 20000) {
  for (const stream of streams) {
    const [[last] = []] = await redis.command('XREVRANGE', stream, '+', '-', 'COUNT', 1);
    if (!last) continue;
    const behind = () => followers.filter((follower) => !follower.of(stream).at(-1)?.startsWith(`${last} `));
    await until(`all followers have ${last} of ${stream}`, () => behind().length === 0, milliseconds).catch((problem) => {
      throw new Error(`${problem.message}; ${behind().length} of ${followers.length} have not, such as ${behind()[0]?.path}`);
    });
  }
}
