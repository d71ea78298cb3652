// The machine a benchmark runs on: which cores take what, and what it says about itself in the report.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
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

/** Two different cores this process may run on, for the server and for everything else; undefined when there is only one. */
export function pickCores() {
  const allowed = parseCoreList(/Cpus_allowed_list:\s*(\S+)/.exec(text('/proc/self/status'))?.[1] ?? '0');
  return allowed.length < 2 ? undefined : { server: allowed[0], load: allowed[1] };
}

/** Puts a running process, with all its threads, on a core. */
export function pin(pid, core) {
  if (core !== undefined) output('taskset', '-a', '-c', '-p', String(core), String(pid));
}

/**
 * The command that runs `command` on a core, with as many descriptors as the hard limit gives, and dies with this process even when
 * that is killed without warning. A session of its own is a scheduling group of its own, for prefer().
 */
export function wrapped(command, core) {
  const pinned = core === undefined ? [] : ['taskset', '-c', String(core)];
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

export function describeMachine(root) {
  return {
    date: new Date().toISOString(),
    commit: output('git', '-C', root, 'describe', '--always', '--dirty'),
    processor: cpus()[0]?.model,
    processors: cpus().length,
    memoryBytes: totalmem(),
    kernel: output('uname', '-sr'),
    redis: /v=(\S+)/.exec(output('redis-server', '--version') ?? '')?.[1],
    load: text('/proc/loadavg').split(' ')[0],
  };
}
