// Thousands of clients in one process, as EventSource is one: each waits for its `retry` before it comes back with the id of its last
// event. A socket and a parser each, no HTTP library.

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { SseParser } from './sse.mjs';
import { until } from './wait.mjs';

/** As many as `wanted`, or as descriptors allow. */
export function crowdSize(wanted) {
  const [, most] = /Max open files +\d+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'));
  return Math.min(wanted, Math.floor((Number(most) - 500) / 2));
}

class Member {
  constructor(crowd, path) {
    Object.assign(this, { crowd, path });
    this.events = [];
    this.gaps = [];
    this.lastEventId = '';
    this.retry = 3000;
    this.retriesSeen = 0;
    this.connections = 0;
    this.failures = 0;
    this.connect();
  }

  connect() {
    const parser = new SseParser();
    let head = '';
    this.connections++;
    this.isServed = false;
    this.socket = connect({ port: this.crowd.port, host: '127.0.0.1' });
    this.socket.on('error', ({ code }) => {
      this.failures++;
      this.crowd.count(code);
    });
    const id = this.lastEventId ? `Last-Event-ID: ${this.lastEventId}\r\n` : '';
    this.socket.on('connect', () => this.socket.write(`GET ${this.path} HTTP/1.1\r\nHost: x\r\n${id}\r\n`));
    parser.lastEventId = this.lastEventId;
    this.socket.on('data', (bytes) => {
      if (head !== null) {
        head += bytes.toString('latin1');
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        this.isServed = head.startsWith('HTTP/1.1 200') && !/content-length/i.test(head.slice(0, end));
        if (this.isServed) this.servedAt = Date.now();
        else this.crowd.count(head.slice(9, 12));
        bytes = Buffer.from(head.slice(end + 4), 'latin1');
        head = null;
      }
      this.#take(parser, bytes);
    });
    this.socket.on('close', () => this.#comeBack());
  }

  #take(parser, bytes) {
    for (const { event, data, id } of parser.push(bytes)) {
      this.lastEventId = id;
      if (event === 'gap') this.gaps.push(JSON.parse(data).reason);
      else this.events.push(data);
    }
    this.retriesSeen += parser.retries.length;
    if (parser.retries.length) this.retry = parser.retries.at(-1);
    parser.retries.length = 0;
  }

  #comeBack() {
    this.isServed = false;
    this.closedAt = Date.now();
    if (this.crowd.comesBack) this.timer = setTimeout(() => this.connect(), this.retry);
  }

  leave() {
    clearTimeout(this.timer);
    this.socket.destroy();
  }
}

export class Crowd {
  constructor(t, port, { comesBack = false } = {}) {
    this.port = port;
    this.comesBack = comesBack;
    this.members = [];
    /** What went wrong, a status or the code of an error: how often. */
    this.problems = new Map();
    t.after(() => this.leave());
  }

  count(problem) {
    this.problems.set(problem, (this.problems.get(problem) ?? 0) + 1);
  }

  /** Opens `count` streams; connecting is paced, so that it is not the crowd's own queue that is measured. */
  async add(count, path) {
    const group = [];
    for (let n = 0; n < count; n += 100) {
      for (let i = n; i < Math.min(n + 100, count); i++) group.push(new Member(this, typeof path === 'function' ? path(i) : path));
      this.members.push(...group.slice(n));
      await until('a hundred more are served', () => group.every(({ isServed }) => isServed), 20000);
    }
    return group;
  }

  leave() {
    this.comesBack = false;
    for (const member of this.members) member.leave();
  }
}
