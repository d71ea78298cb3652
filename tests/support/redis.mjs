// A private redis-server per test, and a RESP2 client small enough to be trusted.

import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort, makeFolder, removeFolder, startProcess } from './processes.mjs';
import { until } from './wait.mjs';

/** Reads one RESP2 reply at `offset`; null when it is not complete yet. Errors come back as Error objects. */
function parseReply(bytes, offset) {
  const end = bytes.indexOf('\r\n', offset);
  if (end < 0) return null;
  const text = bytes.toString('utf8', offset + 1, end);
  const next = end + 2;
  switch (String.fromCharCode(bytes[offset])) {
    case '+':
      return { value: text, next };
    case '-':
      return { value: new Error(text), next };
    case ':':
      return { value: Number(text), next };
    case '$': {
      const length = Number(text);
      if (length < 0) return { value: null, next };
      if (bytes.length < next + length + 2) return null;
      return { value: bytes.toString('utf8', next, next + length), next: next + length + 2 };
    }
    case '*': {
      const value = [];
      let position = next;
      for (let left = Number(text); left > 0; left--) {
        const element = parseReply(bytes, position);
        if (!element) return null;
        value.push(element.value);
        position = element.next;
      }
      return { value, next: position };
    }
    default:
      throw new Error(`not RESP2: ${bytes.toString('latin1', offset, offset + 20)}`);
  }
}

export class RedisClient {
  /** `path` is a unix socket's, or {host, port}. */
  constructor(path) {
    this.waiting = [];
    /** What came for the channels of subscribe(): {channel, payload}. */
    this.messages = [];
    this.unread = Buffer.alloc(0);
    this.socket = connect(path);
    this.socket.on('data', (bytes) => this.#read(bytes));
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      for (const { reject } of this.waiting.splice(0)) reject(new Error('redis closed the connection'));
    });
  }

  #read(bytes) {
    this.unread = this.unread.length ? Buffer.concat([this.unread, bytes]) : bytes;
    let offset = 0;
    for (let reply; (reply = parseReply(this.unread, offset)); ) {
      offset = reply.next;
      if (Array.isArray(reply.value) && reply.value[0] === 'message') {
        this.messages.push({ channel: reply.value[1], payload: reply.value[2] });
        continue;
      }
      const { resolve, reject } = this.waiting.shift();
      if (reply.value instanceof Error) reject(reply.value);
      else resolve(reply.value);
    }
    this.unread = this.unread.subarray(offset);
  }

  /** Sends a command; arguments are strings, numbers or Buffers. Commands may be pipelined by not awaiting. */
  command(...args) {
    const parts = [Buffer.from(`*${args.length}\r\n`)];
    for (const argument of args) {
      const bytes = Buffer.isBuffer(argument) ? argument : Buffer.from(String(argument));
      parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
    }
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) return reject(new Error('redis connection is closed'));
      this.waiting.push({ resolve, reject });
      this.socket.write(Buffer.concat(parts));
    });
  }

  /** From here on the connection only listens, and fills `messages`. */
  async subscribe(channel) {
    await this.command('SUBSCRIBE', channel);
  }

  /** The next message, each once and in order. */
  async nextMessage() {
    return until('a message from redis', () => this.messages.shift());
  }

  async close() {
    if (this.socket.destroyed) return;
    this.socket.destroy();
    await once(this.socket, 'close');
  }
}

/** With SLUICE_TEST_ACL=1 every gateway logs in as this user, who may do what deploy/redis/users.acl says and no more. */
const ACL_LOGIN = process.env.SLUICE_TEST_ACL === '1' ? 'sluice:acl-of-the-tests@' : '';

/** The commands of deploy/redis/users.acl, on whatever keys and channels a test makes up. */
function aclOfTests() {
  const text = readFileSync(new URL('../../deploy/redis/users.acl', import.meta.url), 'utf8');
  const [, rules] = text.match(/^user sluice on >\S+ (.*)$/m);
  const commands = rules.split(' ').filter((rule) => /^[-+]/.test(rule));
  return `user default on nopass ~* &* +@all\nuser sluice on >acl-of-the-tests ~* &* ${commands.join(' ')}\n`;
}

class Redis {
  constructor(folder, port, args, { address = '127.0.0.1', launcher = [] } = {}) {
    this.address = address;
    this.launcher = launcher;
    this.folder = folder;
    this.socket = join(folder, 'redis.sock');
    this.port = port;
    this.args = args;
    /** What a gateway connects to. */
    const login = args.includes('--aclfile') ? '' : ACL_LOGIN;
    this.url = port ? `redis://${login}${address}:${port}` : `unix://${login}${this.socket}`;
    /** As whom a gateway at that URL logs in. */
    this.user = login ? 'sluice' : 'default';
  }

  async start() {
    const args = ['--port', String(this.port ?? 0), '--bind', this.address, '--unixsocket', this.socket, '--dir', this.folder];
    args.push('--save', '', '--appendonly', 'no', '--daemonize', 'no', ...this.args);
    if (this.user === 'sluice') {
      writeFileSync(join(this.folder, 'users.acl'), aclOfTests());
      args.push('--aclfile', join(this.folder, 'users.acl'));
    }
    const [program, ...rest] = [...this.launcher, 'redis-server', ...args];
    this.process = startProcess(program, rest);
    await this.process.sees(/ready to accept connections/i);
    this.client = await this.connect();
  }

  /** One more client of its own. */
  async connect() {
    return until('redis answers', async () => {
      const client = new RedisClient(this.socket);
      try {
        await client.command('PING');
        return client;
      } catch {
        await client.close();
        return null;
      }
    });
  }

  command(...args) {
    return this.client.command(...args);
  }

  publish(channel, payload) {
    return this.client.command('PUBLISH', channel, payload);
  }

  /** How many clients of Redis are subscribed to `channel`. */
  async subscriptions(channel) {
    return (await this.client.command('PUBSUB', 'NUMSUB', channel))[1];
  }

  /** Ends the server without warning; data is gone. */
  async kill() {
    await this.client.close();
    this.process.kill('SIGKILL');
    await this.process.ends();
  }

  async restart() {
    await this.kill();
    await this.start();
  }

  async stop() {
    await this.client?.close();
    this.process?.kill('SIGKILL');
    await this.process?.ends();
    removeFolder(this.folder);
  }
}

/**
 * Starts redis-server on a unix socket in a folder of its own, with `tcp: true` on a free port of loopback too. `args` are more of
 * its settings; `place` is where else it runs: {address, launcher}, words before its own.
 */
export async function startRedis({ tcp = false, args = [], place } = {}) {
  const redis = new Redis(makeFolder(), tcp ? await freePort() : undefined, args, place);
  try {
    await redis.start();
    return redis;
  } catch (problem) {
    await redis.stop();
    throw problem;
  }
}
