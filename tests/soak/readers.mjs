// Clients of the soak. Each checks as it reads: messages are numbered and say which number was the last that Redis had taken, so a
// reader needs no list of what was published to know that something is missing.

import http from 'node:http';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { SseParser } from '../support/sse.mjs';

/** What a slow reader takes at once, twice a second. */
const SIP_BYTES = 8192;

/** What a message carries: {n, prev}. Entries of streams have their numbers as text. */
const numbers = ({ n, progress, prev }) => ({ n: Number(n ?? progress), prev: Number(prev) });

/** How to read the events of a kind of stream: [topic, {n, prev}]. */
export const READ = {
  payload: (reader, data) => [reader.topics[0], numbers(JSON.parse(data))],
  envelope: (reader, data) => {
    const { channel, stream, data: payload } = JSON.parse(data);
    return [stream ? `stream:${stream}` : channel, numbers(payload)];
  },
};

/** Says that its list is exact up to here, or told of a gap; counts, and keeps what is wrong. */
class Checker {
  constructor(tally) {
    this.tally = tally;
    this.topics = new Map(); // topic: {last, isTold}
    this.recent = []; // for the sentence when something is wrong
  }

  note(word) {
    this.recent.push(word);
    if (this.recent.length > 12) this.recent.shift();
  }

  /** What is not an event, with the time of day. */
  noteAt(word) {
    this.note(`${word} at ${new Date().toISOString().slice(14, 23)}`);
  }

  gap(data) {
    const { reason } = JSON.parse(data);
    this.tally.gaps[reason] = (this.tally.gaps[reason] ?? 0) + 1;
    this.noteAt(`gap ${reason}`);
    for (const state of this.topics.values()) state.isTold = true;
  }

  take(topic, { n, prev }, who) {
    const state = this.topics.get(topic) ?? { last: -1, isTold: true };
    this.topics.set(topic, state);
    this.tally.events++;
    this.note(this.topics.size > 1 ? `${topic} ${n}` : n);
    // A viewer of a batch is shown the newest state again after a gap, and when it joins.
    const isSnapshot = topic.startsWith('batch:') && state.isTold;
    if (n === state.last && !isSnapshot) this.#wrong(`${who}, ${topic}: ${n} twice`);
    else if (n < state.last && !isSnapshot) this.#wrong(`${who}, ${topic}: ${n} after ${state.last}`);
    else if (prev > state.last && !state.isTold) this.#wrong(`${who}, ${topic}: ${prev} missing, ${n} came after ${state.last}`);
    state.last = Math.max(state.last, n);
    state.isTold = false;
  }

  #wrong(sentence) {
    this.tally.wrong++;
    if (this.tally.sentences.length >= 20) return;
    this.tally.sentences.push(`${new Date().toISOString()} ${sentence} (${this.recent.join(', ')})`);
  }
}

/** A client as EventSource is one: it comes back with its last id. `stays()` says for how many milliseconds a connection lives. */
export class Reader {
  constructor(world, { name, path, topics, read, stays, isSlow = false, keepsId = true }) {
    Object.assign(this, { world, name, path, topics, read, stays, isSlow, keepsId });
    this.checker = new Checker(world.tally);
    this.lastEventId = '';
    this.isRunning = true;
    this.isOpen = false;
    this.isOver = false; // a batch that is complete
    this.running = this.#run();
  }

  async #run() {
    while (this.isRunning && !this.isOver) {
      await this.#connect();
      if (this.isRunning && !this.isOver) await pause(20 + Math.random() * 300);
      if (!this.keepsId) this.#forget();
    }
  }

  /** Comes as somebody else. */
  #forget() {
    this.lastEventId = '';
    this.checker = new Checker(this.world.tally);
  }

  #connect() {
    const headers = this.lastEventId ? { 'last-event-id': this.lastEventId } : {};
    let timer;
    this.world.tally.connects++;
    return new Promise((resolve) => {
      this.checker.noteAt('connects');
      const request = http.get(this.world.origin + this.path, { agent: false, headers });
      this.request = request;
      request.on('error', resolve).on('response', (response) => this.#receive(response, resolve));
      // A connection that was answered is over when its answer is read, which may be later.
      request.on('close', () => this.isOpen || resolve());
      if (this.stays) timer = setTimeout(() => this.#leave(request), this.stays());
    }).finally(() => {
      this.checker.noteAt('closed');
      clearTimeout(timer);
      this.isOpen = false;
    });
  }

  #receive(response, resolve) {
    response.on('error', resolve).on('close', resolve);
    if (response.statusCode === 204) this.isOver = true;
    if (response.statusCode !== 200) {
      this.checker.noteAt(`status ${response.statusCode}`);
      return void response.resume();
    }
    this.isOpen = true;
    this.checker.noteAt('connected');
    const parser = new SseParser();
    parser.lastEventId = this.lastEventId;
    const connection = { response, parser, isResting: false };
    this.response = response;
    response.on('readable', () => this.#read(connection));
  }

  /** A slow one takes a sip and rests: that is less than the flood brings, and more than a batch does. */
  #read(connection) {
    const { response, parser } = connection;
    // What is left of a connection that broke was never read.
    while (this.isRunning && !connection.isResting && !response.destroyed) {
      const bytes = response.read(this.isSlow ? Math.min(response.readableLength, SIP_BYTES) : undefined);
      if (bytes === null) return;
      for (const event of parser.push(bytes)) this.#take(event);
      if (this.isSlow) this.#rest(connection);
    }
  }

  #rest(connection) {
    connection.isResting = true;
    setTimeout(() => {
      connection.isResting = false;
      this.#read(connection);
    }, 200 + Math.random() * 600).unref();
  }

  #leave(request) {
    if (Math.random() < 0.3 && request.socket && !request.socket.destroyed) request.socket.resetAndDestroy();
    else request.destroy();
  }

  #take({ event, data, id }) {
    this.lastEventId = id;
    if (event === 'gap') this.checker.gap(data);
    else if (event === 'refused' || event === 'error') this.world.tally.refused++;
    else if (event === 'complete') this.isOver = true;
    else this.checker.take(...this.read(this, data), this.name);
  }

  describe() {
    const state = this.isOpen ? 'open' : 'not open';
    return `${this.name}, ${state}, last id ${this.lastEventId || 'none'}, saw ${this.checker.recent.join(', ')}`;
  }

  async stop() {
    this.isRunning = false;
    this.request?.destroy();
    this.response?.destroy(); // what came and was not read
    await this.running;
  }
}

/** Asks for a stream and never reads; let go by the gateway, it comes again. */
export class Sleeper {
  constructor(world, path) {
    Object.assign(this, { world, path, isRunning: true });
    this.running = this.#run();
  }

  async #run() {
    while (this.isRunning) {
      await new Promise((resolve) => {
        const { port } = new URL(this.world.origin);
        this.socket = connect({ port, host: '127.0.0.1' });
        this.socket.on('error', resolve).on('close', resolve);
        this.socket.write(`GET ${this.path} HTTP/1.1\r\nHost: soak\r\n\r\n`);
        this.socket.pause();
        // A paused socket does not see its end; it looks now and then.
        setTimeout(() => this.socket.destroy(), 20000 + Math.random() * 10000).unref();
      });
      this.world.tally.sleepers++;
      if (this.isRunning) await pause(500);
    }
  }

  async stop() {
    this.isRunning = false;
    this.socket.destroy();
    await this.running;
  }
}
