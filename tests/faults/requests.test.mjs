// Requests that no honest client sends. tests/integration/gate.test.mjs has more of each kind.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault } from '../support/fault.mjs';
import { startPair } from '../support/gateway.mjs';
import { RawConnection, statusOf, statuses } from '../support/raw.mjs';
import { SLOWNESS } from '../support/wait.mjs';
import { cpuSeconds } from '../support/vitals.mjs';

const SMUGGLED = 'GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n';
const post = (headers, body = '') => `POST /events/publish HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n${body}`;
const get = (target, headers = '') => `GET ${target} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

async function start(t, report, flags = []) {
  const pair = await startPair(t, { flags });
  await report.watch({ gateway: pair.gateway, publish: (...message) => pair.redis.publish(...message) });
  return pair;
}

/** Refused with one of `expected` and nothing else, and closed. */
async function refused(gateway, name, text, expected) {
  const connection = new RawConnection(gateway.port);
  connection.send(text);
  const answer = await connection.end();
  const [status, ...more] = statuses(answer);
  assert.ok(expected.includes(status), `${name}: ${status} instead of ${expected}: ${answer.slice(0, 300)}`);
  // libmicrohttpd 0.9.75 writes the head of its own refusals twice; what was smuggled would be answered 200.
  assert.ok(more.every((other) => other === status), `${name}: something was smuggled: ${answer}`);
}

fault('slowloris, one byte at a time', { row: 20, expected: 'closed at the absolute deadline' }, async (t, report) => {
  const { gateway } = await start(t, report, ['--head-timeout', '1s', '--body-timeout', '1s']);
  const texts = {
    head: get('/healthz', `X-Slow: ${'x'.repeat(2000)}\r\n`),
    body: post('Content-Length: 2000\r\n', 'x'.repeat(2000)),
  };
  const drip = async (text) => {
    const connection = new RawConnection(gateway.port);
    const began = Date.now();
    const quick = text.startsWith('POST') ? text.indexOf('\r\n\r\n') + 4 : 0;
    connection.send(text.slice(0, quick));
    for (let at = quick; at < text.length && !connection.isClosed; at++) {
      connection.send(text[at]);
      await pause(20);
    }
    await connection.end(100);
    assert.ok(statuses(connection.text).every((status) => status === 408), connection.text.slice(0, 100));
    return Date.now() - began;
  };
  const lasted = await Promise.all(Object.values(texts).flatMap((text) => Array.from({ length: 25 }, () => drip(text))));
  const [least, most] = [Math.min(...lasted), Math.max(...lasted)];
  report.saw(`25 heads and 25 bodies: closed after ${least} to ${most} ms, the deadline being 1,000`);
  assert.ok(least >= 950 && most < 2500 * SLOWNESS, `${least} to ${most} ms`);
});

fault('a chunk extension of 33 KB', { row: 21, expected: '4xx, CPU stays low' }, async (t, report) => {
  const { gateway } = await start(t, report);
  const before = cpuSeconds(gateway.pid);
  for (let n = 0; n < 50; n++)
    await refused(gateway, 'chunk extension', post('Transfer-Encoding: chunked\r\n', `1;${'x'.repeat(33000)}\r\n{\r\n0\r\n\r\n`), [400, 411]);
  const open = Array.from({ length: 20 }, () => new RawConnection(gateway.port));
  for (const connection of open) connection.send(post('Transfer-Encoding: chunked\r\n', `1;${'x'.repeat(33000)}`));
  await pause(1000);
  await Promise.all(open.map((connection) => connection.close()));
  const spent = cpuSeconds(gateway.pid) - before;
  report.saw(`70 of them: refused, ${spent.toFixed(2)} s of CPU`);
  assert.ok(spent < 0.5 * SLOWNESS, `${spent} s`);
});

fault('CL and TE, two CLs, `TE :`, xchunked, two Hosts', { row: 22, expected: '400/411, closed, nothing smuggled' }, async (t, report) => {
  const { gateway } = await start(t, report);
  const cases = {
    'Content-Length and Transfer-Encoding': [post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${SMUGGLED}`), [400, 411]],
    'Transfer-Encoding and Content-Length': [post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `0\r\n\r\n${SMUGGLED}`), [400, 411]],
    'two Content-Lengths': [post(`Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n`, SMUGGLED), [400]],
    'a space before the colon': [post('Transfer-Encoding : chunked\r\nContent-Length: 2\r\n', '{}'), [400]],
    'a tab before the colon': [post('Transfer-Encoding\t: chunked\r\nContent-Length: 2\r\n', '{}'), [400]],
    xchunked: [post('Transfer-Encoding: xchunked\r\n', SMUGGLED), [400, 411, 501]],
    'chunked and something': [post('Transfer-Encoding: chunked, identity\r\n', SMUGGLED), [400, 411, 501]],
    'two Hosts': [get('/healthz', 'Host: y\r\n'), [400]],
    'two Hosts that agree': [get('/healthz', 'Host: x\r\n'), [400]],
  };
  for (const [name, [text, expected]] of Object.entries(cases)) await refused(gateway, name, text, expected);
  report.saw(`${Object.keys(cases).length} kinds: each refused once and closed`);
});

fault('NUL, bad UTF-8 and ../ in the path', { row: 23, expected: '400/404, no file outside `web/`' }, async (t, report) => {
  const { gateway } = await start(t, report);
  const paths = [
    '/batches/a%00b', '/%00', '/batches/%ff%fe', '/batches/%c0%ae%c0%ae', '/batches/%e2%82', '/../../../../etc/passwd',
    '/web/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/..%2f..%2fetc/passwd', '/..%5c..%5cetc/passwd', '//etc/passwd',
    '/api/v1/../../../etc/passwd', '/page.js/../../../etc/passwd', '/%c0%af..%c0%afetc/passwd', '/.git/config', '/meson.build',
  ];
  for (const path of paths) {
    const connection = new RawConnection(gateway.port);
    connection.send(get(path, 'Connection: close\r\n'));
    const answer = await connection.end();
    assert.ok(statuses(answer).every((status) => [400, 404].includes(status)) && statuses(answer).length > 0, `${path}: ${answer.slice(0, 200)}`);
    assert.doesNotMatch(answer, /root:|\[core\]|project\(/, path);
  }
  report.saw(`${paths.length} paths: each 400 or 404`);
});

fault('URL, head and body too large', { row: 24, expected: '414, 431, 413' }, async (t, report) => {
  const { gateway } = await start(t, report, ['--body-bytes-max', '64KiB']);
  assert.equal(await statusOf(gateway.port, get(`/events/stream?channel=${'x'.repeat(40000)}`)), 414);
  assert.equal(await statusOf(gateway.port, get('/healthz', `X-Big: ${'x'.repeat(40000)}\r\n`)), 431);
  assert.equal(await statusOf(gateway.port, get('/healthz', 'X-Many: y\r\n'.repeat(4000))), 431);
  assert.equal(await statusOf(gateway.port, post(`Content-Length: ${64 * 1024 + 1}\r\n`)), 413);
  const endless = new RawConnection(gateway.port);
  endless.send(post('Content-Length: 10000000000\r\n', 'x'.repeat(1 << 20)));
  await endless.end();
  assert.deepEqual(statuses(endless.text), [413]);
  report.saw('414, 431, 431, 413, and 413 before a body of 10 GB');
});

const HOSTILE_TEXTS = ['a\rb', 'a\nb', 'a\r\nb', '\r', '\n\n', 'x\0y', 'data: forged\n\nevent: forged\ndata: x\n\n', 'id: 9\n\nretry: 1\n\n', ':comment', '', ' leading', '\ufeffbom'];
const HOSTILE_BYTES = [[0xff, 0xfe], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf4, 0x90, 0x80, 0x80], [0x80]];

/** How the text of one event reads after line ends became LF and bad bytes U+FFFD. */
const readable = (bytes) => new TextDecoder().decode(Buffer.concat([Buffer.from(' '), bytes])).slice(1).replace(/\r\n|\r/g, '\n');

fault('control characters and bad UTF-8 in payloads, and a hostile Last-Event-ID', { row: 25, expected: 'one well-formed event; `gap` or 400' }, async (t, report) => {
  const { redis, gateway } = await start(t, report);
  const stream = await gateway.stream('/events/stream?channel=x');
  const payloads = [...HOSTILE_TEXTS.map((text) => Buffer.from(text)), ...HOSTILE_BYTES.map((bytes) => Buffer.from([0x61, ...bytes, 0x62]))];
  await stream.seesRetry();
  for (const payload of payloads) await redis.publish('x', payload);
  await redis.publish('x', 'end');
  const events = [];
  for (let event; (event = await stream.next()).data !== 'end'; ) events.push(event);
  const wanted = payloads.map(readable);
  assert.deepEqual(events.map(({ event }) => event), wanted.map(() => 'message'));
  // NUL has no place in the data of an event; what stands for it is one character.
  events.forEach(({ data }, n) => assert.equal(data.replace(/[\0\ufffd]/g, '?'), wanted[n].replace(/[\0\ufffd]/g, '?'), JSON.stringify(wanted[n])));
  assert.equal(stream.retries.length, 1, 'no payload set a retry');
  await stream.close();

  const ids = ['x', '-', '0-0', '1-1', `${'9'.repeat(20)}-1`, 'ffffffffffffffff-18446744073709551615', 'a'.repeat(3000), '%00', '\u00ff\u00fe', '(){}', '0x10-1', '1-1-1', ' ', "';--"];
  for (const id of ids) {
    const connection = new RawConnection(gateway.port);
    connection.send(get('/events/stream?channel=x', `Last-Event-ID: ${id}\r\n`));
    await connection.sees(/^HTTP\/1\.1 (4\d\d|200[^]*(event: gap|id: ))/);
    if (/^HTTP\/1\.1 200/.test(connection.text) && id.trim()) assert.match(connection.text, /event: gap/, id.slice(0, 40));
    await connection.close();
  }
  report.saw(`${payloads.length} payloads: one event each, as published but for line ends and bytes that are no text; ${ids.length} ids: each a gap or 4xx`);
});
