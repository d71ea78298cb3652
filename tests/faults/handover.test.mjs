// One process takes the port of another: nobody is refused, nobody is reset.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fault } from '../support/fault.mjs';
import { sluice, startGateway } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { SLOWNESS, until } from '../support/wait.mjs';

/** Connects again and again, each time for one request, and takes down how each ended. */
class Callers {
  constructor(port, count) {
    this.port = port;
    this.isCalling = true;
    this.answered = 0;
    this.slowest = 0;
    this.problems = [];
    this.calling = Promise.all(Array.from({ length: count }, () => this.#callOn()));
  }

  async #callOn() {
    while (this.isCalling) await this.#call();
  }

  #call() {
    const start = Date.now();
    return new Promise((resolve) => {
      let text = '';
      const socket = connect({ port: this.port, host: '127.0.0.1' });
      socket.setEncoding('latin1');
      socket.on('connect', () => socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
      socket.on('data', (bytes) => (text += bytes));
      socket.on('error', (error) => this.problems.push(error.code));
      socket.on('close', (hadError) => {
        if (/^HTTP\/1.1 200 [^]*\r\n\r\n./.test(text)) this.answered++;
        else if (!hadError) this.problems.push(`nothing but ${JSON.stringify(text)}`);
        this.slowest = Math.max(this.slowest, Date.now() - start);
        resolve();
      });
    });
  }

  async stop() {
    this.isCalling = false;
    await this.calling;
  }
}

fault('a second process takes over the port', { expected: 'no connection is refused or reset while the first one leaves; by mistake it is refused with a clear message' }, async (t, report) => {
  const redis = await startRedis();
  const gateways = [];
  t.after(async () => {
    for (const gateway of gateways) await gateway.stop();
    await redis.stop();
  });
  const start = async (port) => {
    const gateway = await startGateway({ redis, port, flags: ['--reuse-port', 'on', '--access-log', 'off', '--drain-timeout', '5s'], wait: false });
    gateways.push(gateway);
    await gateway.process.sees(/ready url=/);
    return gateway;
  };
  let current = await start();
  const { port } = current;

  const mistaken = await sluice(['serve', '--listen', `127.0.0.1:${port}`, '--redis-url', redis.url]);
  assert.equal(mistaken.code, 1);
  assert.match(mistaken.output, /cannot listen on .*in use by another process.*reuse_port/);

  const callers = new Callers(port, 12);
  await pause(200);
  const leaving = [];
  for (let round = 0; round < 2; round++) {
    const next = await start(port);
    await pause(150);
    const began = Date.now();
    current.process.kill('SIGTERM');
    const { code } = await current.process.ends();
    leaving.push(Date.now() - began);
    assert.equal(code, 0);
    current = next;
  }
  await pause(200);
  await callers.stop();
  await report.watch({ gateway: current, publish: (...message) => redis.publish(...message) });
  report.saw(`${callers.answered} requests, each by a connection of its own, over ${leaving.length} hand-overs: ${callers.problems.length} refused, reset or without answer; the slowest took ${callers.slowest} ms; each process left within ${Math.max(...leaving)} ms`);
  assert.deepEqual(callers.problems, []);
  assert.ok(callers.answered > 500 / SLOWNESS, `only ${callers.answered} answers`);
  const alone = await current.get('/healthz');
  assert.equal(alone.status, 200);
  await until('the last one is ready', () => current.isReady());
});
