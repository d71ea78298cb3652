// The servers under measurement: the bare loops that are the limit, sluice, and whatever stands in peers/.

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';

const ENVIRONMENT = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => /^(SLUICE_.*|REDIS_URL.*|PORT)$/.test(name))
    .map((name) => [name, undefined]));

/** Nothing of the caller's environment may decide how a server runs. */
export const CLEAN_ENVIRONMENT = ENVIRONMENT;

export function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false)).once('connect', () => socket.destroy());
  });
}

async function isOk(url) {
  try {
    return (await fetch(url, { headers: { connection: 'close' } })).status === 200;
  } catch {
    return false;
  }
}

function bareLoop(name, title, flags) {
  return {
    name,
    title,
    command: ({ port, redisSocket, build }) =>
      [`${build}/tests/bench/limit`, '--listen', `127.0.0.1:${port}`, '--redis', `unix:${redisSocket}`, ...flags],
  };
}

const BUILT_IN = [
  bareLoop('limit', 'limit', []),
  bareLoop('coalesced', 'limit, coalesced', ['--coalesce']),
  {
    name: 'sluice',
    title: 'sluice',
    // Few connections are kept for requests, so that the descriptors left are enough for 19,500 streams of 20,000.
    command: ({ port, redisSocket, build, sluiceFlags = [] }) =>
      [process.env.SLUICE_BINARY ?? `${build}/sluice`, 'serve', '--listen', `127.0.0.1:${port}`, '--redis-url',
        `unix://${redisSocket}`, '--access-log', 'off', '--log-level', 'warn', '--connections-max', '256', ...sluiceFlags],
    isReady: (port) => isOk(`http://127.0.0.1:${port}/readyz`),
  },
];

async function peers() {
  const folder = new URL('peers/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.mjs')).sort();
  return Promise.all(names.map(async (name) => (await import(new URL(name, folder))).default));
}

const DEFAULTS = { path: '/events/stream?channel={channel}', joinedBy: 'retry', isReady: accepts };

/** The flags that a build of sluice knows. */
function flagsOf(program) {
  try {
    return [...execFileSync(program, ['--help'], { encoding: 'utf8' }).matchAll(/--[a-z][a-z0-9-]*/g)].map(([flag]) => flag);
  } catch {
    return [];
  }
}

/** Of sluice, unless a scenario says otherwise: one core, as all others have, and no bound on how many may come at once. */
const USUAL_FLAGS = [['--workers', '1'], ['--stream-rate-max', '0']];

/**
 * The targets to measure, and {name, title, reason} of those that are not installed. Fails on names that are none, and where one that is
 * ours or was asked for is not there.
 */
export async function loadTargets({ build, targets: names, noPeers, quick }) {
  const others = (await peers()).map((peer) => ({ ...peer, isPeer: true }));
  const all = [...BUILT_IN, ...others].map((target) => ({ ...DEFAULTS, ...target }));
  const unknown = (names ?? []).filter((name) => !all.some((target) => target.name === name));
  if (unknown.length) throw new Error(`no such target: ${unknown.join(', ')} (there are ${all.map(({ name }) => name).join(', ')})`);
  const wanted = (target) => {
    if (names) return names.includes(target.name);
    return !target.isPeer || (!noPeers && (!quick || target.inQuick));
  };
  const picked = all.filter(wanted);
  const missing = [];
  for (const target of picked) {
    const reason = target.missing?.();
    if (reason) missing.push({ name: target.name, title: target.title, reason });
    if (target.isPeer) continue;
    const [program] = target.command({ port: 0, redisSocket: '', redisPort: 0, folder: '', build });
    if (!existsSync(program)) throw new Error(`${program} is not there: build it (./dev build)`);
    if (target.name === 'sluice') target.flags = flagsOf(program);
    target.usualFlags = USUAL_FLAGS.filter(([flag]) => target.flags?.includes(flag));
  }
  return { targets: picked.filter(({ name }) => !missing.some((other) => other.name === name)), missing };
}
