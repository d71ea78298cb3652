// Starts what a run needs: Redis, the server under test, and the load generator.

import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeFolder, removeFolder, startProcess } from '../support/processes.mjs';
import { until } from '../support/wait.mjs';
import { prefer, processesOf, wrapped } from './machine.mjs';
import { CLEAN_ENVIRONMENT } from './targets.mjs';

const LOAD_SECONDS_MAX = 150;
/** Some peers pause for seconds under load; what comes after so long without anything is lost. */
const PEER_PATIENCE_MS = 15000;
/** Some peers accept connections before all of their processes run, or are connected to Redis. */
const PEER_START_MS = 1500;

/** A free port below those that the kernel gives to outgoing connections: the clients of a run take thousands of them. */
export async function serverPort() {
  for (;;) {
    const port = 10000 + Math.floor(Math.random() * 20000);
    const probe = createServer();
    const isFree = await new Promise((resolve) => probe.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)));
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
}

export async function startRedis(folder, { redisServer, cores }) {
  const redisSocket = `${folder}/redis.sock`;
  const redisPort = await serverPort();
  const args = ['--port', redisPort, '--bind', '127.0.0.1', '--unixsocket', redisSocket, '--dir', folder, '--save', '', '--appendonly', 'no',
    '--maxclients', 19000];
  const [program, ...words] = wrapped([redisServer, ...args.map(String)], cores?.redis);
  const redis = startProcess(program, words);
  await redis.sees(/ready to accept connections/i);
  await prefer(redis.pid);
  return { redis, redisSocket, redisPort };
}

/** The first so many cores; where there are not as many for servers, the load shares them. */
function coresFor(count, cores) {
  return cores && (count > cores.server.length ? cores.all : cores.server).slice(0, count);
}

/** What is counted as the server's: its processes, but for helpers of the peer's own start script. */
function countedProcesses(target, pid) {
  return processesOf(pid).filter(({ command }) => !target.uncounted?.test(command)).map((entry) => entry.pid);
}

/**
 * Starts a target, has `use({port, pids, …place})` work with it, and ends it whatever happens. `serverFlags` are more words for its
 * command line, `serverCores` how many cores it has.
 */
export async function withServer(target, place, { serverFlags = {}, serverCores = 1 }, use) {
  const port = await serverPort();
  const folder = makeFolder();
  const own = serverFlags[target.name] ?? [];
  const flags = [...(target.usualFlags ?? []).filter(([flag]) => !own.includes(flag)).flat(), ...own];
  const command = [...target.command({ ...place, port, folder }), ...flags];
  const [program, ...words] = wrapped(command, coresFor(serverCores, place.cores));
  const server = startProcess(program, words, { environment: CLEAN_ENVIRONMENT });
  const ended = server.exited.then(({ code, signal }) => {
    throw new Error(`${target.name} ended with ${code ?? signal}:\n${server.output.slice(-2000)}`);
  });
  ended.catch(() => {});
  try {
    await Promise.race([until(`${target.name} is ready`, () => target.isReady(port), 10000), ended]);
    await prefer(server.pid);
    if (target.isPeer) await pause(PEER_START_MS);
    const pids = countedProcesses(target, server.pid);
    return await Promise.race([use({ ...place, port, pids, target }), ended]);
  } finally {
    // All at once: a child that is left holds the pipes whose end says that the server is gone.
    for (const { pid } of processesOf(server.pid)) endProcess(pid);
    await server.stop('SIGKILL').catch(() => {});
    removeFolder(folder);
  }
}

function endProcess(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // gone already
  }
}

/** How a load that is measured and one that is only there share a core: the first never waits for the second, nor for Redis. */
const PRIORITIES = { first: ['chrt', '--fifo', '1'], last: ['chrt', '--idle', '0'], usual: [] };

/** Runs the load generator against a started server. `headers()` are lines of which each client sends one. */
export async function runLoad(server, { headers, ...options }) {
  if (!headers) return load(server, options);
  const folder = makeFolder();
  try {
    const file = join(folder, 'headers');
    writeFileSync(file, headers().map((line) => `${line}\n`).join(''));
    return await load(server, { ...options, headers: file });
  } finally {
    removeFolder(folder);
  }
}

async function load({ target, port, pids, redisSocket, build, cores }, options) {
  const { path = target.path, priority = 'usual', server = `127.0.0.1:${port}`, serverPids = pids, serverFlags, serverCores, ...rest } = options;
  const flags = Object.entries({ ...(target.isPeer && { 'patience-ms': PEER_PATIENCE_MS }), ...target.load, ...rest }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const publishTo = target.publishTo?.({ port }) ?? `unix:${redisSocket}`;
  const [program, ...words] = wrapped([...PRIORITIES[priority], `${build}/tests/bench/load`, '--server', server, '--redis', publishTo,
    '--server-pid', serverPids.join(','), '--path', path, '--joined-by', target.joinedBy, '--time-limit-s', String(LOAD_SECONDS_MAX), ...flags], cores?.load);
  const process = startProcess(program, words);
  prefer(process.pid, priority === 'last' ? 19 : undefined);
  const { code, signal } = await process.ends((LOAD_SECONDS_MAX + 5) * 1000);
  if (code !== 0) throw new Error(`load ended with ${code ?? signal}: ${process.output.slice(-500).trim()}`);
  return JSON.parse(process.stdout);
}
