// The machine a benchmark runs on: which cores take what, and what it says about itself in the report.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { until } from '../support/wait.mjs';

function text(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function output(program, ...args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

/** `0-1,4` → [0, 1, 4] */
function parseCoreList(list) {
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * Which cores do what: `server` are those that servers may have, one each unless a scenario says more; Redis has one, and the load the
 * rest. With two cores, Redis and the load share one. Undefined when there is only one.
 */
export function pickCores() {
  const allowed = parseCoreList(/Cpus_allowed_list:\s*(\S+)/.exec(text('/proc/self/status'))?.[1] ?? '0');
  if (allowed.length < 2) return undefined;
  const servers = allowed.length < 4 ? 1 : Math.floor(allowed.length / 2);
  const server = allowed.slice(0, servers);
  const load = allowed.slice(servers + (allowed.length > 3 ? 1 : 0));
  return { server, redis: allowed.length > 3 ? [allowed[servers]] : load, load, all: allowed };
}

/** Puts a running process, with all its threads, on some cores. */
export function pin(pid, cores) {
  if (cores !== undefined) output('taskset', '-a', '-c', '-p', cores.join(','), String(pid));
}

/**
 * The command that runs `command` on some cores, with as many descriptors as the hard limit gives, and dies with this process even when
 * that is killed without warning. A session of its own is a scheduling group of its own, for prefer().
 */
export function wrapped(command, cores) {
  const pinned = cores === undefined ? [] : ['taskset', '-c', cores.join(',')];
  return ['setsid', 'setpriv', '--pdeathsig', 'KILL', 'prlimit', `--nofile=${hardDescriptorLimit()}`, ...pinned, ...command];
}

/** Lets a wrapped process go before whatever else the machine is doing, where this process may decide that (root may), or behind it. */
export async function prefer(pid, nice = -15) {
  const leadsItsSession = () => Number(text(`/proc/${pid}/stat`).split(') ')[1]?.split(' ')[3]) === pid;
  try {
    await until('a session of its own', leadsItsSession, 500);
    writeFileSync(`/proc/${pid}/autogroup`, String(nice));
  } catch {
    // then it shares the machine like everybody
  }
}

function hardDescriptorLimit() {
  return /Max open files +\d+ +(\S+)/.exec(text('/proc/self/limits'))?.[1] ?? '1024';
}

/** A process and all that descend from it: {pid, command} each. */
export function processesOf(pid) {
  const parents = new Map();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = Number(text(`/proc/${name}/stat`).split(') ').pop().split(' ')[1]);
    parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
  }
  const found = [pid];
  for (let i = 0; i < found.length; i++) found.push(...(parents.get(found[i]) ?? []));
  return found.map((process_) => ({ pid: process_, command: text(`/proc/${process_}/cmdline`).replaceAll('\0', ' ') }));
}

export function describeMachine(root, redisServer) {
  return {
    date: new Date().toISOString(),
    commit: output('git', '-C', root, 'describe', '--always', '--dirty'),
    processor: cpus()[0]?.model,
    processors: cpus().length,
    memoryBytes: totalmem(),
    kernel: output('uname', '-sr'),
    redis: /v=(\S+)/.exec(output(redisServer, '--version') ?? '')?.[1],
    load: text('/proc/loadavg').split(' ')[0],
  };
}
