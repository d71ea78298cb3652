// The gateway under test: the built binary on a free port of loopback.

import http from 'node:http';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { freePort, runProcess, startProcess } from './processes.mjs';
import { startRedis } from './redis.mjs';
import { openStream } from './sse.mjs';
import { until } from './wait.mjs';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const BINARY = process.env.SLUICE_BINARY ?? `${ROOT}build/sluice`;

if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there: build it (./dev build) or set SLUICE_BINARY`);

/** Taken out of the environment that a gateway is started with: nothing of the caller's may decide what it does. */
const CLEAN = {};
for (const name of Object.keys(process.env)) if (/^(SLUICE_.*|REDIS_URL.*|PORT)$/.test(name)) CLEAN[name] = undefined;
/** SLUICE_TEST_WORKERS=4 runs the suite with so many workers. */
if (process.env.SLUICE_TEST_WORKERS) CLEAN.SLUICE_WORKERS = process.env.SLUICE_TEST_WORKERS;

/** Runs a command of the binary without serving: {code, output, stdout}. */
export function sluice(args, options = {}) {
  return runProcess(BINARY, args, { ...options, environment: { ...CLEAN, ...options.environment } });
}

/** Starts a command of the binary that goes on, such as `tail`; as startProcess(). `under`: a program, with arguments, to run it. */
export function startSluice(args, { under = [], ...options } = {}) {
  const [program, ...all] = [...under, BINARY, ...args];
  return startProcess(program, all, { ...options, environment: { ...CLEAN, ...options.environment } });
}

class Gateway {
  constructor(process_, port) {
    this.process = process_;
    this.port = port;
    this.origin = `http://127.0.0.1:${port}`;
  }

  get pid() {
    return this.process.pid;
  }

  /** Its threads that have names, by them: worker-0 and so on, unless there is only one worker. */
  get threads() {
    const folder = `/proc/${this.pid}/task`;
    return new Map(readdirSync(folder).map((thread) => [readFileSync(`${folder}/${thread}/comm`, 'latin1').trim(), thread]));
  }

  /** How many connections to Redis it keeps: feed, commands, tail, and one for each worker. */
  get linkCount() {
    return 3 + Math.max(1, [...this.threads.keys()].filter((name) => /^worker-\d+$/.test(name)).length);
  }

  /** What it has logged so far. */
  get log() {
    return this.process.output;
  }

  /**
   * One request, by a connection of its own: {status, headers, text, json()}. `body` is a string, a Buffer, or an object that is
   * sent as JSON.
   */
  request(method, path, { body, headers = {} } = {}) {
    const isObject = body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body);
    const bytes = isObject ? JSON.stringify(body) : body;
    const sent = { ...(isObject ? { 'content-type': 'application/json' } : {}), ...headers };
    return new Promise((resolve, reject) => {
      const request = http.request(this.origin + path, { method, agent: false, headers: sent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece) => (text += piece)).on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, text, json: () => JSON.parse(text) }));
      });
      request.on('error', reject);
      request.end(bytes);
    });
  }

  get(path, headers) {
    return this.request('GET', path, { headers });
  }

  /** POST /events/publish with a JSON body. */
  publish(body, headers) {
    return this.request('POST', '/events/publish', { body, headers });
  }

  stream(path, headers) {
    return openStream(this.origin + path, { headers });
  }

  /** One sample of /metrics by its exact name with labels, or undefined. */
  async metric(name) {
    const { text } = await this.get('/metrics');
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  }

  async isReady() {
    try {
      return (await this.get('/readyz')).status === 200;
    } catch {
      return false;
    }
  }

  ready(milliseconds = 10000) {
    return until('/readyz is 200', () => this.isReady(), milliseconds);
  }

  reload() {
    this.process.kill('SIGHUP');
  }

  /** Ends it by SIGTERM; fails when it does not go, or goes with anything but 0 (a sanitizer's finding is such). */
  async stop() {
    if (this.process.child.exitCode !== null || this.process.child.signalCode !== null) return;
    const { code, signal } = await this.process.stop();
    if (code !== 0) throw new Error(`the gateway ended with ${code ?? signal}:\n${this.log.slice(-4000)}`);
  }
}

/**
 * Starts a gateway. `redis` is what startRedis() gave, or a URL; `flags` are more flags; with `wait: false` it is not waited
 * for being ready. `port` is for one that takes another's place; `under` as for startSluice().
 */
export async function startGateway(options = {}) {
  // A port that was free a moment ago may be somebody's by now.
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options);
    } catch (problem) {
      if (options.port || attempt === 3 || !problem.message.includes('Address already in use')) throw problem;
    }
  }
}

async function startOnce({ redis, flags = [], environment = {}, wait = true, port: chosenPort, under }) {
  const port = chosenPort ?? (await freePort());
  const args = ['serve', '--listen', `127.0.0.1:${port}`];
  if (redis) args.push('--redis-url', redis.url ?? redis);
  const process_ = startSluice([...args, '--drain-timeout', '300ms', ...flags], { environment, under });
  const gateway = new Gateway(process_, port);
  if (!wait) return gateway;
  const ended = process_.exited.then(({ code, signal }) => {
    throw new Error(`the gateway ended with ${code ?? signal} instead of serving:\n${gateway.log}`);
  });
  ended.catch(() => {});
  await Promise.race([gateway.ready(), ended]);
  return gateway;
}

/**
 * A redis of its own and a gateway on it, both ended after test `t`. Options as for startGateway(), and `redis` as for startRedis().
 */
export async function startPair(t, { redis: redisOptions, ...options } = {}) {
  const redis = await startRedis(redisOptions);
  let gateway;
  t.after(async () => {
    try {
      await gateway?.stop();
    } finally {
      await redis.stop();
    }
  });
  gateway = await startGateway({ ...options, redis });
  return { redis, gateway };
}
