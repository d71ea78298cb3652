// A fault as a test: what is expected, what was seen, how long until all was well, and that nothing is left of it.
//
//   fault('Redis killed, comes back', { row: 2, expected: 'streams stay open, gap, then live again' }, async (t, report) => {
//     const { redis, gateway } = await startPair(t);
//     await report.watch({ gateway, publish: (channel, payload) => redis.publish(channel, payload) });
//     ...
//     report.recovered(milliseconds);
//     report.saw('gap after 40 ms, live again after 90 ms');
//   });
//
// After the body, each watched gateway must be the same process, serve a new client, and hold no more descriptors and memory than
// when it was watched.
//
// What needs more than a test run has (`needs`, `seconds` above QUICK_SECONDS, or `isExtra`: a variation of another case) is skipped
// with the reason, unless SLUICE_FAULTS=all, as ./dev faults sets it. With SLUICE_FAULTS_REPORT=<file> each case leaves a line of JSON there:
// {row, fault, expected, seen, recovered_ms, held, skipped, open}.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { NO_ALLOCATIONS } from './allocations.mjs';
import { FAKETIME } from './faketime.mjs';
import { until } from './wait.mjs';
import { HAS_SANITIZER, isBackAt, vitalsOf } from './vitals.mjs';

/** ./dev faults: no case is too long or too large. */
export const RUNS_ALL = process.env.SLUICE_FAULTS === 'all';
const REPORT = process.env.SLUICE_FAULTS_REPORT;

/** What takes longer is left out of a test run. */
const QUICK_SECONDS = 20;
const TIMEOUT_MS = 120000;

function missing(program, debianPackage) {
  const isThere = process.env.PATH.split(':').some((folder) => existsSync(`${folder}/${program}`));
  return isThere ? undefined : `needs ${program} (${debianPackage})`;
}

/** Containers may forbid what a program is there for. */
function cannot(program, ...args) {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return status === 0 ? undefined : `needs a machine on which ${program} may work (${stderr.trim().split('\n')[0]})`;
}

/** What a case may need, each with how to find out; the value is why it cannot be had, or nothing. */
const NEEDS = {
  root: () => (process.geteuid() === 0 ? undefined : 'needs root'),
  allocator: () => NO_ALLOCATIONS,
  bwrap: () => missing('bwrap', 'bubblewrap') ?? cannot('bwrap', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--unshare-user', '--cap-drop', 'ALL', 'true'),
  // LeakSanitizer cannot look at a process that is traced.
  strace: () => (HAS_SANITIZER ? 'needs a binary without a sanitizer' : missing('strace', 'strace')),
  'systemd-analyze': () => missing('systemd-analyze', 'systemd'),
  faketime: () => (FAKETIME && !HAS_SANITIZER ? undefined : 'needs libfaketime, without a sanitizer'),
};

/** Why a case is not run here, or undefined. */
function reasonToSkip({ needs = [], seconds = 0, isExtra = false }) {
  if (!RUNS_ALL && needs.includes('root')) return `needs ${needs.join(' and ')}: ./dev faults runs it`;
  if (!RUNS_ALL && seconds > QUICK_SECONDS) return `takes ${seconds} s: ./dev faults runs it`;
  if (!RUNS_ALL && isExtra) return 'one more of its kind: ./dev faults runs it';
  return needs.map((need) => NEEDS[need]()).find(Boolean);
}

function writeReport(line) {
  if (REPORT) appendFileSync(REPORT, `${JSON.stringify(line)}\n`);
}

class Report {
  constructor() {
    this.watched = [];
    this.seen = [];
  }

  /** One thing that was seen, in words for the table. */
  saw(text) {
    this.seen.push(text);
  }

  /** How long it took from the end of the fault until all was well. */
  recovered(milliseconds) {
    this.recovered_ms = Math.round(milliseconds);
  }

  /**
   * Takes down what the gateway holds now, for the check after the case. `publish(channel, payload)` reaches the Redis that it
   * listens to. Call it again with `gateway` when another process has taken the place of the one that ends with the fault.
   */
  async watch({ gateway, publish, ...tolerances }) {
    await serveNewClient(gateway, publish); // what a first client makes it allocate is no leak
    this.watched = this.watched.filter((other) => other.gateway !== gateway);
    this.watched.push({ gateway, publish, tolerances, before: vitalsOf(gateway.pid) });
  }

  /** Nothing was wrong, but this was not proven: why, in a few words. */
  leaveOpen(reason) {
    this.open = reason;
  }

  /** For a fault at whose end there is no gateway. */
  leavesNothing() {
    this.hasNothingLeft = true;
  }

  async check() {
    assert.ok(this.watched.length > 0 || this.hasNothingLeft, 'the case watches no gateway');
    for (const { gateway, publish, before, tolerances } of this.watched) {
      assert.equal(gateway.pid, before.pid, 'the gateway is another process');
      await serveNewClient(gateway, publish);
      await isBackAt(before, tolerances);
    }
  }
}

let clients = 0;

/** New clients connect, and receive what is published now: to a channel, and by the gateway to a Redis Stream. */
export async function serveNewClient(gateway, publish) {
  const name = `new-client-${process.pid}-${clients++}`;
  const listener = await gateway.stream(`/events/stream?channel=${name}`);
  const reader = await gateway.stream(`/events/stream?stream=${name}&since=0`);
  assert.deepEqual([listener.status, reader.status], [200, 200]);
  try {
    await until('a new client is served', async () => {
      await publish(name, 'now');
      return listener.events.some(({ data }) => data === 'now');
    }, 10000);
    const { status, text } = await gateway.publish({ stream: name, payload: { now: 1 } });
    assert.equal(status, 200, text);
    await until('a new reader of a stream is served', () => reader.events.some(({ data }) => data === '{"now":"1"}'), 10000);
  } finally {
    await Promise.all([listener.close(), reader.close()]);
  }
}

/**
 * A case. `row` is its number in the list of faults (none: it goes beyond the list), `expected` what must happen, `seconds` how long
 * it takes when that is more than a few, `needs` names of NEEDS.
 */
export function fault(name, { row, expected, needs, seconds, isExtra, timeout = TIMEOUT_MS }, body) {
  const skip = reasonToSkip({ needs, seconds, isExtra });
  const line = { row, fault: name, expected };
  if (skip) writeReport({ ...line, seen: '', held: null, skipped: skip });
  test(name, { skip: skip ?? false, timeout }, async (t) => {
    const report = new Report();
    let problem;
    try {
      await body(t, report);
      await report.check();
    } catch (caught) {
      problem = caught;
    }
    const seen = [...report.seen, ...(problem ? [problem.message.split('\n')[0]] : [])].join('; ');
    writeReport({ ...line, seen, recovered_ms: report.recovered_ms, held: !problem && report.open ? null : !problem, open: report.open });
    if (problem) throw problem;
  });
}

/** Cases that may run at the same time, because they mostly wait; one after the other where times are taken for the table. */
export function faults(name, body) {
  describe(name, { concurrency: RUNS_ALL ? 1 : 3 }, body);
}
