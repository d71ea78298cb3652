// malloc fails: at any place, at any time. The one request or client is lost; the process lives.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Allocations } from '../support/allocations.mjs';
import { fault } from '../support/fault.mjs';
import { startGateway, startPair } from '../support/gateway.mjs';
import { RawConnection } from '../support/raw.mjs';
import { until } from '../support/wait.mjs';

const POST = (path, body, headers = '') =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n${headers}\r\n${body}`;
const GET = (path, headers = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

/** Each kind of request, and what of its answer shows that all of it went well. */
const REQUESTS = [
  { name: 'publish to a channel', text: POST('/events/publish', '{"channel":"c","payload":{"a":[1,2,{"b":"x"}]}}'), done: /"receivers"/ },
  { name: 'publish to a stream', text: POST('/events/publish', '{"stream":"s","payload":{"a":1,"b":"x"},"id":"k"}'), done: /"stream":"s"/ },
  { name: 'publish a critical event', text: POST('/events/publish', '{"event":"e","critical":true,"payload":{"a":1}}'), done: /"id":"\d/ },
  { name: 'publish an array', text: POST('/events/publish', '[{"channel":"c","payload":1},{"stream":"s","payload":{"n":1}}]'), done: /"stream":"s"/ },
  { name: 'store a batch', text: POST('/batches/b', '{"status":"PROCESSING","progress":3}').replace('POST', 'PUT'), done: /^HTTP\/1.1 20/ },
  { name: 'read a batch', text: GET('/batches/b'), done: /^HTTP\/1.1 200[^]*PROCESSING/ },
  { name: 'read a batch that Redis does not have', text: GET('/batches/none'), done: /^HTTP\/1.1 404/ },
  { name: 'watch a batch', text: GET('/batches/b/stream'), done: /event: progress/ },
  { name: 'stream a channel', text: GET('/events/stream?channel=c'), done: /retry: /, message: 'c' },
  { name: 'stream channels and patterns', text: GET('/events/stream?channel=c&channel=d&pattern=c*'), done: /retry: /, message: 'd' },
  { name: 'stream entries', text: GET('/events/stream?stream=s&since=0'), done: /data: / },
  { name: 'stream entries and channels', text: GET('/events/stream?stream=s&channel=c&since=2'), done: /data: /, message: 'c' },
  { name: 'resume with an id of another process', text: GET('/events/stream?channel=c', 'Last-Event-ID: 1-2\r\n'), done: /event: gap/ },
  { name: 'consume a group', text: GET('/streams/s/groups/g/events?consumer=one'), done: /data: /, before: (redis) => redis.command('XADD', 's', '*', 'n', 1) },
  { name: 'acknowledge', text: POST('/streams/s/groups/g/ack', '{"ids":["1-1"]}'), done: /"notPending"/ },
  { name: 'list streams', text: GET('/streams/s'), done: /^HTTP\/1.1 200/ },
  { name: 'metrics', text: GET('/metrics'), done: /sluice_sse_clients/ },
  { name: 'metrics as JSON', text: GET('/metrics', 'Accept: application/json\r\n'), done: /"redis"/ },
  { name: 'the page', text: GET('/'), done: /<html/i },
  { name: 'a preflight', text: 'OPTIONS /events/publish HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\n\r\n', done: /^HTTP\/1.1 204/ },
  { name: 'a malformed request', text: 'GET /%zz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', done: /^HTTP\/1.1 400/ },
];

/** Told that there is nothing, that something was missed, or that it should come back later: that is how a request may be lost. */
const LOST = /^HTTP\/1.1 (4(?!09)|5)|^HTTP\/1.1 409[^]*\nContent-Length: 0\r\n|"status":503|event: (refused|gap)/;

/**
 * One request by a connection of its own: it is served, or told, or its connection is lost. What hangs is a defect, and fails; a
 * link to Redis that was lost may take its time to come back.
 */
async function ask({ name, text, done, before, message }, { gateway, redis }, milliseconds = 8000) {
  await before?.(redis);
  const connection = new RawConnection(gateway.port);
  const answer = () => (LOST.test(connection.text) ? 'told' : done.test(connection.text) ? 'served' : connection.isClosed && 'lost');
  try {
    connection.send(text);
    const end = await until(`an end of "${name}"`, answer, milliseconds);
    if (!message || end !== 'served' || connection.isClosed) return;
    await redis.publish(message, 'a message');
    const got = () => /data: .*a message/.test(connection.text) || /event: gap/.test(connection.text) || connection.isClosed;
    await until(`a message of "${name}"`, got, milliseconds);
  } catch (problem) {
    throw new Error(`${problem.message}; it has ${JSON.stringify(connection.text.slice(-300))}`);
  } finally {
    await connection.close();
  }
}

const isAlive = (gateway) => gateway.process.child.exitCode === null && gateway.process.child.signalCode === null;

/** Whether it is answered as it should be, after at most a few tries: a link to Redis may have been lost with an allocation. */
async function isWell(request, pair) {
  for (let tries = 0; tries < 20; tries++) {
    await request.before?.(pair.redis);
    const connection = new RawConnection(pair.gateway.port);
    connection.send(request.text);
    try {
      await connection.sees(request.done, 1000);
      return true;
    } catch {
      await pause(50);
    } finally {
      await connection.close();
    }
  }
  return false;
}

/** Fails allocations `first`, `first + step` … of one request, each alone. Returns how many failed. */
async function walk(request, pair, allocations, { first = 1, step = 1 } = {}) {
  let failures = 0;
  let unreached = 0;
  for (let number = first; unreached < 3; number += step) {
    const before = allocations.failed;
    allocations.failNext(number);
    await ask(request, pair).catch((problem) => {
      throw new Error(`allocation ${number}: ${problem.message}\n${pair.gateway.log.slice(-1500)}`);
    });
    const isReached = allocations.failed > before;
    allocations.heal();
    failures += isReached;
    unreached = isReached ? 0 : unreached + 1;
    assert.ok(isAlive(pair.gateway), `allocation ${number} of "${request.name}" failed, and it died:\n${pair.gateway.log.slice(-1500)}`);
    assert.ok(number < 5000, `"${request.name}" does not end`);
  }
  assert.ok(await isWell(request, pair), `"${request.name}" does not work any more:\n${pair.gateway.log.slice(-1500)}`);
  return failures;
}

async function startWithFailures(t, flags = []) {
  const allocations = new Allocations(t);
  const pair = await startPair(t, {
    flags: ['--access-log', 'off', '--subscription-linger', '50ms', ...flags],
    environment: allocations.environment,
  });
  await pair.redis.command('XADD', 's', '1-1', 'n', '1');
  await pair.redis.command('XGROUP', 'CREATE', 's', 'g', '0');
  for (const request of REQUESTS) await ask(request, pair);
  return { ...pair, allocations };
}

async function walkAll(t, report, options) {
  const { redis, gateway, allocations } = await startWithFailures(t);
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  let failures = 0;
  for (const request of REQUESTS) failures += await walk(request, { redis, gateway }, allocations, options());
  assert.ok(failures >= REQUESTS.length, `only ${failures} failed`);
  report.saw(`${failures} allocations failed, one at a time, over ${REQUESTS.length} kinds of request: each was served, told or cut off; the process lived and each kind worked afterwards`);
}

const EXPECTED = 'that request or client is lost, the process lives';

fault('malloc fails in each place of each kind of request', { row: 27, expected: EXPECTED, seconds: 110, needs: ['allocator'], timeout: 400000 }, (t, report) => walkAll(t, report, () => ({})));

fault('malloc fails here and there in each kind of request', { row: 27, expected: EXPECTED, needs: ['allocator'] }, (t, report) =>
  walkAll(t, report, () => ({ first: 1 + Math.floor(Math.random() * 17), step: 17 })));

fault('malloc fails for one allocation in 20, while everything goes on', { row: 27, expected: 'clients are lost, the process lives, a line of log a second at most', needs: ['allocator'] }, async (t, report) => {
  const { redis, gateway, allocations } = await startWithFailures(t);
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  const quiet = gateway.log.length;
  allocations.failEvery(20);
  const end = Date.now() + 4000;
  let answers = 0;
  const work = REQUESTS.filter(({ before }) => !before).map(async (request) => {
    while (Date.now() < end) {
      const connection = new RawConnection(gateway.port);
      connection.send(request.text);
      await connection.sees(request.done, 300).then(() => answers++, () => {});
      await connection.close();
      await redis.publish('c', 'a message').catch(() => {});
    }
  });
  await Promise.all(work);
  allocations.heal();
  assert.ok(isAlive(gateway), `it died:\n${gateway.log.slice(-1500)}`);
  const lines = gateway.log.slice(quiet).split('\n').filter(Boolean);
  const kinds = new Map();
  for (const line of lines) {
    const second = line.slice(0, 19);
    const kind = `${second} ${line.slice(25).replace(/ \S+=.*| [0-9].*/, '')} ${/link=\S+/.exec(line) ?? ''}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const most = [...kinds].sort((one, other) => other[1] - one[1])[0] ?? ['nothing', 0];
  const start = Date.now();
  for (const request of REQUESTS) assert.ok(await isWell(request, { redis, gateway }), `"${request.name}" does not work any more`);
  report.recovered(Date.now() - start);
  report.saw(`${allocations.failed} allocations failed in 4 s, ${answers} requests were served nevertheless; ${lines.length} lines of log, of one kind in one second at most ${most[1]}`);
  assert.ok(most[1] <= 3, `${most[1]} times in a second: ${most[0]}`);
});

fault('malloc fails while it starts', { row: 27, expected: 'says so and ends, or serves; never crashes', seconds: 40, needs: ['allocator'] }, async (t, report) => {
  const allocations = new Allocations(t);
  report.leavesNothing();
  let served = 0;
  let refused = 0;
  // Settings, event loop and everything that is built; then libraries' own initializations, of which some are looked at.
  for (let number = 1; number < 1600; number += number < 200 ? 1 : 31) {
    allocations.failOfStart(number);
    const gateway = await startGateway({ redis: 'redis://127.0.0.1:1', wait: false, environment: allocations.environment });
    const end = await Promise.race([gateway.process.exited, gateway.process.sees(/ready url=/).then(() => null, () => gateway.process.exited)]);
    if (end) {
      assert.ok(end.signal === null && end.code > 0, `allocation ${number}: ended with ${end.code ?? end.signal}`);
      assert.match(gateway.log, /memory|short|cannot/, `allocation ${number}: it says what was wrong`);
      refused++;
    } else {
      allocations.heal();
      await gateway.stop();
      served++;
    }
  }
  assert.ok(refused > 50 && served > 50, `${refused} refused, ${served} served`);
  report.saw(`${refused} starts said that memory was short, ${served} served all the same, none crashed`);
});
