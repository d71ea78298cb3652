// A reader of text/event-stream by the letter of the HTML standard (section 9.2.6), independent of the one the web page uses,
// over a plain HTTP request, so that tests see status, headers, comments and bytes and not only events.

import http from 'node:http';
import zlib from 'node:zlib';
import { within } from './wait.mjs';

export class SseParser {
  constructor() {
    this.decoder = new TextDecoder('utf-8'); // drops one leading BOM, as the standard wants
    this.text = '';
    this.afterCarriageReturn = false;
    this.lastEventId = '';
    this.retries = [];
    this.comments = 0;
    this.#clear();
  }

  /** It moves at the end of a block, so that an event cut short does not count. */
  get lastEventId() {
    return this.id;
  }

  set lastEventId(id) {
    this.id = this.nextId = id;
  }

  #clear() {
    this.data = [];
    this.name = '';
  }

  /** Feeds bytes, returns the events they complete: {event, data, id}. */
  push(bytes) {
    let text = this.decoder.decode(bytes, { stream: true });
    if (this.afterCarriageReturn && text.length) {
      if (text[0] === '\n') text = text.slice(1);
      this.afterCarriageReturn = false;
    }
    if (text.endsWith('\r')) this.afterCarriageReturn = true;
    const lines = (this.text + text).split(/\r\n|\n|\r/);
    this.text = lines.pop();
    return lines.map((line) => this.#line(line)).filter(Boolean);
  }

  #line(line) {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) {
      this.comments++;
      return null;
    }
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') this.data.push(value);
    else if (field === 'event') this.name = value;
    else if (field === 'id' && !value.includes('\0')) this.nextId = value;
    else if (field === 'retry' && /^[0-9]+$/.test(value)) this.retries.push(Number(value));
    return null;
  }

  #dispatch() {
    this.id = this.nextId;
    const event = this.data.length ? { event: this.name || 'message', data: this.data.join('\n'), id: this.id } : null;
    this.#clear();
    return event;
  }
}

class SseStream {
  constructor(response, request) {
    this.status = response.statusCode;
    this.headers = response.headers;
    this.response = response;
    this.request = request;
    this.parser = new SseParser();
    this.bytes = Buffer.alloc(0);
    this.keepBytes = true;
    this.events = []; // all that ever came
    this.taken = 0; // how many of them next() has given out
    this.watchers = new Set();
    this.isOpen = true;
    this.bytesReceived = 0; // as they came
    this.problem = null; // of a compressed stream: why it is none, or that it did not end properly
    const source = this.#decode();
    this.ended = new Promise((resolve) => {
      source.once('close', () => {
        this.isOpen = false;
        resolve();
        this.#wake();
      });
    });
    response.on('error', () => {});
    response.on('data', (chunk) => (this.bytesReceived += chunk.length));
    source.on('data', (chunk) => {
      if (this.keepBytes && this.bytes.length < 1 << 20) this.bytes = Buffer.concat([this.bytes, chunk]);
      this.events.push(...this.parser.push(chunk));
      this.#wake();
    });
  }

  /** Where the bytes of the stream come from: the response, or what is compressed in it. */
  #decode() {
    if (this.headers['content-encoding'] !== 'gzip') return this.response;
    const gunzip = zlib.createGunzip({ flush: zlib.constants.Z_SYNC_FLUSH, chunkSize: 1 << 18 });
    gunzip.on('error', (problem) => (this.problem = problem));
    this.response.on('data', (chunk) => gunzip.destroyed || gunzip.write(chunk));
    this.response.once('close', () => gunzip.destroyed || gunzip.end());
    gunzip.once('end', () => gunzip.destroy());
    return gunzip;
  }

  get retries() {
    return this.parser.retries;
  }

  get comments() {
    return this.parser.comments;
  }

  /** The id a browser would send when it reconnects now. */
  get lastEventId() {
    return this.parser.lastEventId;
  }

  #wake() {
    for (const look of [...this.watchers]) look();
  }

  /** Resolves with the value of `probe` once it is not undefined; it is asked after each piece that arrives. */
  #watch(what, probe, milliseconds) {
    let look;
    const seen = new Promise((resolve, reject) => {
      look = () => {
        const value = probe();
        if (value !== undefined) resolve(value);
        else if (!this.isOpen) reject(new Error(`the stream ended before ${what}; it had ${JSON.stringify(this.events.slice(-5))}`));
      };
      this.watchers.add(look);
      look();
    });
    return within(milliseconds, `${what} on the stream`, seen).finally(() => this.watchers.delete(look));
  }

  /** The next event, each once and in order. */
  next(milliseconds = 5000) {
    return this.#watch('the next event', () => this.events[this.taken] && this.events[this.taken++], milliseconds);
  }

  /** Skips to the next event that `matches`. */
  async nextWhere(matches, milliseconds = 5000) {
    for (;;) {
      const event = await this.next(milliseconds);
      if (matches(event)) return event;
    }
  }

  /** The next `count` events. */
  async take(count, milliseconds = 5000) {
    await this.#watch(`${count} events`, () => (this.events.length >= this.taken + count ? true : undefined), milliseconds);
    this.taken += count;
    return this.events.slice(this.taken - count, this.taken);
  }

  seesComment(count = 1, milliseconds = 5000) {
    return this.#watch(`${count} comments`, () => (this.comments >= count ? true : undefined), milliseconds);
  }

  seesRetry(count = 1, milliseconds = 5000) {
    return this.#watch(`${count} retry fields`, () => (this.retries.length >= count ? this.retries.at(-1) : undefined), milliseconds);
  }

  /** Waits for the server to end the stream. */
  end(milliseconds = 5000) {
    return within(milliseconds, 'end of the stream', this.ended);
  }

  /** Stops reading, so that the server's writes pile up; resume() goes on. */
  pause() {
    this.response.pause();
  }

  resume() {
    this.response.resume();
  }

  async close() {
    this.request.destroy();
    await this.ended;
  }
}

/**
 * Opens a stream and resolves when the response head is here. `url` is absolute, or a path with `origin`. Any status resolves:
 * look at `status`.
 */
export function openStream(url, { headers = {}, agent } = {}) {
  const opened = new Promise((resolve, reject) => {
    const request = http.get(url, { agent: agent ?? false, headers: { accept: 'text/event-stream', ...headers } });
    request.once('error', reject);
    request.once('response', (response) => {
      request.on('error', () => {});
      resolve(new SseStream(response, request));
    });
  });
  return within(10000, `response head of ${url}`, opened);
}
