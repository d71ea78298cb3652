// A bad network between the gateway and Redis: delays, stalls, cuts, truncates and garbles what goes through it, one direction or one
// kind of connection or one command at a time.
//
//   const proxy = await startFaultProxy(t, redis.socket);       or a port of loopback
//   const gateway = await startGateway({ redis: proxy.url });
//   proxy.stall({ to: 'gateway' });          nothing arrives there any more, connections stay open
//   proxy.delay(200, { to: 'redis' });
//   proxy.truncate(1000, { to: 'gateway' }); after 1000 more bytes a connection is cut
//   proxy.garble(Buffer.from('?'), { link: 'feed' });  puts bytes before what goes on next
//   proxy.cut({ link: 'commands' });         resets connections; new ones work
//   proxy.refuse();                          new ones are closed at once
//   proxy.intercept('XREAD', (command, connection) => { connection.answer('-LOADING wait\r\n'); return 'drop'; });
//   proxy.filter = (bytes, lane) => bytes;   whatever else
//   proxy.listensFirst = true;               lets a Redis that closes at once have its say: a socket of Node's on which a write
//                                            fails is not read any more
//   proxy.heal();                            back to normal; what was held goes on
//
// `link` is what the gateway calls a connection by CLIENT SETNAME, without "sluice-": feed, commands, tail; `commands` stands for those
// of the workers too (worker-0, worker-1 …).

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** The commands that are complete in `bytes`, RESP arrays of bulk strings: {commands: [{bytes, words}], rest}. */
export function splitCommands(bytes) {
  const commands = [];
  let offset = 0;
  for (let command; (command = readCommand(bytes, offset)); offset += command.bytes.length) commands.push(command);
  return { commands, rest: bytes.subarray(offset) };
}

function readCommand(bytes, start) {
  let at = start;
  const line = (kind) => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return null;
    if (bytes[at] !== kind.charCodeAt(0)) throw new Error(`not a command: ${bytes.toString('latin1', at, at + 20)}`);
    const number = Number(bytes.toString('latin1', at + 1, end));
    at = end + 2;
    return number;
  };
  const count = line('*');
  if (count === null) return null;
  const words = [];
  for (let i = 0; i < count; i++) {
    const length = line('$');
    if (length === null || bytes.length < at + length + 2) return null;
    words.push(bytes.subarray(at, at + length));
    at += length + 2;
  }
  return { bytes: bytes.subarray(start, at), words };
}

const FIRST_WORDS_MS = 20;

/** Whether a connection of the gateway's name is meant by `link`. */
const isOf = (name, link) => name === link || (link === 'commands' && /^worker-\d+$/.test(name));

/** One direction of one connection: what came in and may not go on yet. */
class Lane {
  constructor(proxy, connection, to, sink) {
    Object.assign(this, { proxy, connection, to, sink });
    this.queue = []; // {bytes, due}
    this.passed = 0;
    this.allowed = Infinity;
    this.pending = [];
  }

  push(received) {
    const bytes = this.proxy.filter?.(received, this) ?? received;
    const { delay } = this.proxy.faultsOf(this);
    this.queue.push({ bytes, due: Date.now() + delay });
    this.flow();
  }

  /** Lets go on what may. */
  flow() {
    clearTimeout(this.timer);
    while (this.queue.length > 0 && !this.connection.isGone) {
      const { stalled } = this.proxy.faultsOf(this);
      if (stalled || (this.to === 'redis' && this.connection.isListening)) return;
      const wait = this.queue[0].due - Date.now();
      if (wait > 0) {
        this.timer = setTimeout(() => this.flow(), wait);
        return;
      }
      this.#send(this.queue.shift().bytes);
    }
  }

  #send(bytes) {
    if (this.pending.length > 0) bytes = Buffer.concat([...this.pending.splice(0), bytes]);
    const piece = bytes.subarray(0, this.allowed);
    this.allowed -= piece.length;
    this.passed += piece.length;
    this.sink.write(piece);
    if (this.allowed > 0) return;
    this.connection.isGone = true;
    this.sink.end(() => this.connection.end());
  }
}

class Connection {
  constructor(proxy, client, target) {
    this.proxy = proxy;
    this.client = client;
    this.link = undefined;
    this.isGone = false;
    this.server = typeof target === 'number' ? connect(target, '127.0.0.1') : connect(target);
    this.toRedis = new Lane(proxy, this, 'redis', this.server);
    this.toGateway = new Lane(proxy, this, 'gateway', client);
    this.unread = Buffer.alloc(0);
    this.isListening = proxy.listensFirst;
    this.server.on('connect', () => setTimeout(() => this.#listened(), this.isListening ? FIRST_WORDS_MS : 0));
    client.on('data', (bytes) => this.#fromGateway(bytes));
    this.server.on('data', (bytes) => this.toGateway.push(bytes));
    for (const socket of [client, this.server]) {
      socket.on('error', () => {});
      socket.on('close', () => this.end());
    }
  }

  #listened() {
    this.isListening = false;
    this.toRedis.flow();
  }

  #fromGateway(bytes) {
    const { commands, rest } = splitCommands(Buffer.concat([this.unread, bytes]));
    this.unread = Buffer.from(rest);
    for (const command of commands) {
      const words = command.words.map(String);
      if (/^client$/i.test(words[0]) && /^setname$/i.test(words[1])) this.link = words[2].replace(/^sluice-/, '');
      this.proxy.seen.set(words[0].toUpperCase(), (this.proxy.seen.get(words[0].toUpperCase()) ?? 0) + 1);
      const hook = this.proxy.hooks.get(words[0].toUpperCase());
      if (hook?.(words, this) === 'drop') continue;
      if (!this.isGone) this.toRedis.push(Buffer.from(command.bytes));
    }
  }

  /** Says something to the gateway in the place of Redis. */
  answer(bytes) {
    this.toGateway.push(Buffer.from(bytes));
  }

  reset() {
    this.isGone = true;
    this.client.resetAndDestroy();
    this.end();
  }

  end() {
    this.isGone = true;
    for (const lane of [this.toRedis, this.toGateway]) clearTimeout(lane.timer);
    this.client.destroy();
    this.server.destroy();
    this.proxy.connections.delete(this);
  }
}

class FaultProxy {
  constructor(target) {
    this.target = target;
    this.connections = new Set();
    this.faults = [];
    /** How often each command went by. */
    this.seen = new Map();
    this.hooks = new Map();
    this.accepted = 0;
    this.server = createServer({ noDelay: true }, (client) => {
      this.accepted++;
      if (this.isRefusing) client.resetAndDestroy();
      else this.connections.add(new Connection(this, client, this.target));
    });
  }

  get port() {
    return this.server.address().port;
  }

  get url() {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** What is done to a lane now. */
  faultsOf(lane) {
    const result = { delay: 0, stalled: false };
    for (const { to, link, delay = 0, stalled = false } of this.faults) {
      if ((to && to !== lane.to) || (link && !isOf(lane.connection.link, link))) continue;
      result.delay += delay;
      result.stalled ||= stalled;
    }
    return result;
  }

  /** Those of a link, or all. */
  connectionsOf(link) {
    return [...this.connections].filter((connection) => !link || isOf(connection.link, link));
  }

  #lanes({ to, link } = {}) {
    return this.connectionsOf(link)
      .flatMap(({ toRedis, toGateway }) => [toRedis, toGateway])
      .filter((lane) => !to || lane.to === to);
  }

  delay(milliseconds, where = {}) {
    this.faults.push({ ...where, delay: milliseconds });
  }

  stall(where = {}) {
    this.faults.push({ ...where, stalled: true });
  }

  /** Cuts connections that are there now once `bytes` more have passed. */
  truncate(bytes, where = {}) {
    for (const lane of this.#lanes(where)) lane.allowed = bytes;
  }

  /**
   * Puts bytes before the next piece that goes on, of connections that are there now. Between two replies, that is: inside one they
   * could make a payload that nobody can tell from a right one.
   */
  garble(garbage, where = {}) {
    for (const lane of this.#lanes(where)) lane.pending.push(garbage);
  }

  cut({ link } = {}) {
    for (const connection of this.connectionsOf(link)) connection.reset();
  }

  refuse() {
    this.isRefusing = true;
  }

  /** Calls `hook(words, connection)` before a command goes on; it does not when that returns 'drop'. */
  intercept(command, hook) {
    this.hooks.set(command.toUpperCase(), hook);
  }

  heal() {
    this.faults = [];
    this.hooks.clear();
    this.filter = undefined;
    this.isRefusing = false;
    for (const lane of this.#lanes()) lane.flow();
  }

  async close() {
    for (const connection of [...this.connections]) connection.end();
    if (!this.server.listening) return;
    this.server.close();
    await once(this.server, 'close');
  }
}

/** Starts a proxy on loopback in front of `target`, a port of loopback or a path, closed after test `t`. */
export async function startFaultProxy(t, target) {
  const proxy = new FaultProxy(target);
  proxy.server.listen(0, '127.0.0.1');
  await once(proxy.server, 'listening');
  t.after(() => proxy.close());
  return proxy;
}
