// Those who publish in the soak: each topic has one writer, which waits for Redis' word before it writes the next number.

import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

const PADDING = 'x'.repeat(2048);

class Writer {
  constructor(world, topic, { perSecond, write }) {
    Object.assign(this, { world, topic, write, isRunning: true });
    this.n = 0;
    this.prev = -1; // the last number that Redis surely took
    this.wait = 1000 / perSecond;
    this.running = Promise.resolve().then(() => this.#run()); // once the one that extends it is made, too
  }

  async #run() {
    while (this.isRunning) {
      await this.step();
      await pause(this.wait * (0.5 + Math.random()));
    }
  }

  /** Writes the next number; true when Redis took it. */
  async step(more = {}) {
    const n = this.n++;
    try {
      await this.write(this.world, { n, prev: this.prev, ...more });
      this.prev = n;
      this.world.tally.published++;
      return true;
    } catch {
      this.world.tally.uncertain++;
      return false;
    }
  }

  async stop() {
    this.isRunning = false;
    await this.running;
  }
}

async function post(world, body) {
  const response = await world.gateway.publish(body);
  if (response.status !== 200) throw new Error(`publish answered ${response.status}`);
}

/** By Redis, or through the gateway. */
export function channelWriter(world, channel, perSecond, isLarge = false) {
  const write = async (_, message) => {
    const payload = isLarge ? { ...message, padding: PADDING } : message;
    if (Math.random() < 0.5) await world.redis.publish(channel, JSON.stringify(payload));
    // Without an id of its own it may be published again when the connection is lost before Redis' answer.
    else await post(world, { channel, payload, id: randomUUID() });
  };
  return new Writer(world, channel, { perSecond, write });
}

export function streamWriter(world, stream, perSecond) {
  const write = async (_, message) => {
    const { n, prev } = message;
    if (Math.random() < 0.5) await world.redis.command('XADD', stream, 'MAXLEN', '~', 2000, '*', 'n', n, 'prev', prev);
    else await post(world, { stream, payload: { n, prev }, maxlen: 2000 });
  };
  return new Writer(world, `stream:${stream}`, { perSecond, write });
}

/** A batch from its first state to its last. */
export class BatchWriter extends Writer {
  constructor(world, id, { perSecond, seconds }) {
    super(world, `batch:${id}`, { perSecond, write: (_, message) => this.#write(message) });
    this.id = id;
    this.endsAt = Date.now() + seconds * 1000;
  }

  async #write({ n, prev, status = 'PROCESSING' }) {
    const state = { batchId: this.id, status, progress: n, prev };
    if (Math.random() < 0.5) {
      const response = await this.world.gateway.request('PUT', `/batches/${this.id}`, { body: state });
      if (response.status >= 300) throw new Error(`PUT answered ${response.status}`);
      return;
    }
    const text = JSON.stringify(state);
    const { redis } = this.world;
    const written = [['MULTI'], ['SET', `batch:progress:${this.id}`, text, 'EX', 60], ['PUBLISH', this.topic, text], ['EXEC']];
    await Promise.all(written.map((command) => redis.command(...command)));
  }

  get isDue() {
    return Date.now() >= this.endsAt;
  }

  /** Says that it is complete, until Redis has taken that. */
  async complete() {
    await this.stop();
    while (!(await this.step({ status: 'COMPLETED' }))) await pause(500);
  }
}

/** Jobs for a group of workers: every one that Redis took is acknowledged some time, unless Redis lost its memory. */
export class Jobs {
  constructor(world, stream, perSecond) {
    Object.assign(this, { world, stream });
    this.open = new Map(); // number: when it was written
    this.writer = new Writer(world, `stream:${stream}`, {
      perSecond,
      write: async (_, { n }) => {
        await post(world, { stream, payload: { n }, maxlen: 100000 });
        if (!this.early.delete(n)) this.open.set(n, Date.now());
      },
    });
    this.early = new Set(); // acknowledged before the receipt was here
  }

  done(n) {
    this.world.tally.jobs++;
    if (!this.open.delete(n)) this.early.add(n);
  }

  /** Redis has lost its memory. */
  forget() {
    this.open.clear();
    this.early.clear();
  }

  late(milliseconds) {
    const before = Date.now() - milliseconds;
    return [...this.open].filter(([, at]) => at < before).map(([n]) => n);
  }

  stop() {
    return this.writer.stop();
  }
}
