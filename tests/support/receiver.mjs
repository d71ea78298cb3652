// A receiver of webhooks that misbehaves as told.

import { once } from 'node:events';
import http from 'node:http';
import { until } from './wait.mjs';

class Receiver {
  constructor(decide) {
    /** What came, each attempt: {path, headers, body, at}. */
    this.requests = [];
    /** Attempts that were answered 2xx, by their webhook-id. */
    this.accepted = new Map();
    this.open = 0;
    this.openMax = 0;
    /** What to do with a request: {status, headers, text, delay, when, reset, hang}, or a number as a status. */
    this.decide = decide;
    this.server = http.createServer((request, response) => this.#take(request, response));
    this.server.keepAliveTimeout = 60000;
  }

  #take(request, response) {
    const pieces = [];
    this.openMax = Math.max(this.openMax, ++this.open);
    let isOpen = true;
    response.on('close', () => {
      this.open -= isOpen ? 1 : 0;
      isOpen = false;
    });
    request.on('data', (piece) => pieces.push(piece));
    request.on('error', () => {});
    request.on('end', () => {
      const seen = { path: request.url, headers: request.headers, body: Buffer.concat(pieces).toString(), at: Date.now() };
      this.requests.push(seen);
      const decided = this.decide(seen, this);
      const answer = typeof decided === 'number' ? { status: decided } : decided;
      if (answer.hang) return;
      if (answer.reset) return request.socket.resetAndDestroy();
      const reply = () => {
        if (request.socket.destroyed) return;
        if (answer.status >= 200 && answer.status < 300) {
          const id = seen.headers['webhook-id'];
          this.accepted.set(id, (this.accepted.get(id) ?? 0) + 1);
        }
        response.writeHead(answer.status, answer.headers ?? {});
        response.end(answer.text ?? '');
      };
      if (answer.when) answer.when.then(reply);
      else if (answer.delay) setTimeout(reply, answer.delay);
      else reply();
    });
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}/hook`;
  }

  /** Waits for the attempt number `count`, and returns it. */
  async request(count = 1, milliseconds = 10000) {
    await until(`${count} requests to the receiver`, () => this.requests.length >= count, milliseconds);
    return this.requests[count - 1];
  }

  async stop() {
    if (!this.server.listening) return;
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

/** Starts a receiver on loopback, ended after test `t`; `port` is for one that takes another's place. */
export async function startReceiver(t, decide = () => 200, port = 0) {
  const receiver = new Receiver(decide);
  receiver.server.listen(port, '127.0.0.1');
  await once(receiver.server, 'listening');
  t.after(() => receiver.stop());
  return receiver;
}
