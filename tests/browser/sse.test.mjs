// The page's own reader of event streams (web/sse.js), in Node: it needs nothing of a browser but fetch.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { describe, test } from 'node:test';
import { until } from '../support/wait.mjs';
import { webModule } from './web_module.mjs';

const { EventParser, EventStream } = await webModule('sse.js');

const encoder = new TextEncoder();

/** What a parser reports for these pieces, in order, as short lists. */
function read(...pieces) {
  const seen = [];
  const parser = new EventParser({
    onEvent: ({ id, name, data }) => seen.push(['event', id, name, data]),
    onComment: (text) => seen.push(['comment', text]),
    onRetry: (milliseconds) => seen.push(['retry', milliseconds]),
  });
  for (const piece of pieces) parser.push(typeof piece === 'string' ? encoder.encode(piece) : piece);
  return { seen, lastEventId: parser.lastEventId };
}

describe('EventParser', () => {
  test('reads the same at every place where the bytes may be cut', () => {
    const text =
      '\ufeffretry: 1500\n\n:\n\n: beat\r\rid: 5f3a9c2e81b04d17-1\r\nevent: progress\r\ndata: {"a":"ä€😀"}\r\n\r\n' +
      'data: one\rdata: two\r\ndata\ndata:  three\n\nid: 5f3a9c2e81b04d17-2\n\ndata: last\n\ndata: never ended\n';
    const bytes = encoder.encode(text);
    const whole = read(bytes);
    assert.deepEqual(whole.seen, [
      ['retry', 1500],
      ['comment', ''],
      ['comment', ' beat'],
      ['event', '5f3a9c2e81b04d17-1', 'progress', '{"a":"ä€😀"}'],
      ['event', '5f3a9c2e81b04d17-1', 'message', 'one\ntwo\n\n three'],
      ['event', '5f3a9c2e81b04d17-2', 'message', 'last'],
    ]);
    for (let first = 0; first <= bytes.length; first++) {
      const cut = read(bytes.subarray(0, first), bytes.subarray(first));
      assert.deepEqual(cut, whole, `cut at ${first}`);
      for (let second = first; second <= Math.min(first + 8, bytes.length); second++) {
        assert.deepEqual(read(bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)), whole, `cut at ${first} and ${second}`);
      }
    }
    assert.deepEqual(read(...Array.from(bytes, (byte) => Uint8Array.of(byte))), whole, 'byte by byte');
  });

  test('takes the three line ends, also mixed', () => {
    for (const end of ['\n', '\r', '\r\n']) {
      assert.deepEqual(read(`data: a${end}data: b${end}${end}data: c${end}${end}`).seen.map((event) => event[3]), ['a\nb', 'c'], JSON.stringify(end));
    }
  });

  test('strips one space after the colon, and no more', () => {
    assert.deepEqual(read('data:a\n\ndata: b\n\ndata:  c\n\ndata:\td\n\n').seen.map((event) => event[3]), ['a', 'b', ' c', '\td']);
  });

  test('reports an event with an empty data line, but no block without one', () => {
    assert.deepEqual(read('data\n\n').seen, [['event', '', 'message', '']]);
    assert.deepEqual(read('event: x\nid: 7\n\n'), { seen: [], lastEventId: '7' });
    assert.deepEqual(read('event: x\n\ndata: y\n\n').seen, [['event', '', 'message', 'y']], 'the name does not live on');
  });

  test('keeps the id from event to event, until an empty one', () => {
    assert.deepEqual(read('id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n').seen.map((event) => event[1]), ['1', '1', '']);
  });

  test('ignores an id with NUL, retries that are no digits, and unknown fields', () => {
    const { seen, lastEventId } = read('id: a\0b\nretry: 1s\nretry: -1\nretry:\nfoo: bar\ndata: x\n\n');
    assert.deepEqual(seen, [['event', '', 'message', 'x']]);
    assert.equal(lastEventId, '');
  });

  test('does not move the id for an event that was cut off', () => {
    assert.equal(read('id: 1\ndata: a\n\nid: 2\ndata: b\n').lastEventId, '1');
  });

  test('replaces invalid UTF-8', () => {
    assert.deepEqual(read('data: ', Uint8Array.of(0xff, 0xc3), '\n\n').seen, [['event', '', 'message', '\ufffd\ufffd']]);
  });

  test('gives up on a line and on an event without end', () => {
    const piece = 'x'.repeat(1 << 20);
    assert.throws(() => read(...Array(17).fill(piece)), /longer than/);
    assert.throws(() => read(...Array(17).fill(`data: ${piece}\n`)), /longer than/);
  });
});

/** A server whose next answers are those in `answers`: functions of (request, response). */
async function serve(t, answers) {
  const requests = [];
  const server = http.createServer((request, response) => {
    requests.push(request.headers['last-event-id'] ?? null);
    (answers.shift() ?? ((_, late) => late.writeHead(204).end()))(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${server.address().port}/`, requests };
}

const events = (text) => (_, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(text);
};
const status = (code, headers = {}, body = '') => (_, response) => response.writeHead(code, headers).end(body);

function follow(t, url, lastEventId) {
  const seen = { states: [], data: [] };
  const stream = new EventStream(
    url,
    { onState: (state) => seen.states.push(state), onEvent: (event) => seen.data.push(event.data) },
    lastEventId,
  );
  stream.open();
  t.after(() => stream.close());
  return { stream, seen };
}

describe('EventStream', () => {
  test('comes back from the last id, after the time it was given, until 204', async (t) => {
    const { url, requests } = await serve(t, [events('retry: 30\n\nid: é-1\ndata: a\n\n'), events('data: b\n\n')]);
    const { stream, seen } = follow(t, url);
    await until('the stream has ended', () => stream.state === 'ended');
    assert.deepEqual(seen.data, ['a', 'b']);
    assert.deepEqual(requests, [null, Buffer.from('é-1').toString('latin1'), Buffer.from('é-1').toString('latin1')]);
    assert.deepEqual(seen.states, ['connecting', 'live', 'waiting', 'connecting', 'live', 'waiting', 'connecting', 'ended']);
  });

  test('tries again after 503, 429 and a cut connection, and not after 404', async (t) => {
    const cut = (request) => request.socket.destroy();
    const refusal = status(404, { 'content-type': 'application/problem+json' }, '{"detail":"There is no such thing."}');
    const { url } = await serve(t, [events('retry: 5\n\n'), status(503), status(429), cut, events('data: here\n\n'), refusal]);
    const { stream, seen } = follow(t, url);
    await until('the stream has failed', () => stream.state === 'failed');
    assert.deepEqual(seen.data, ['here']);
    assert.equal(stream.problem, 'There is no such thing.');
  });

  test('refuses what is no event stream', async (t) => {
    const { url } = await serve(t, [status(200, { 'content-type': 'text/html' }, 'data: no\n\n')]);
    const { stream, seen } = follow(t, url);
    await until('the stream has failed', () => stream.state === 'failed');
    assert.deepEqual(seen.data, []);
    assert.match(stream.problem, /text\/html/);
  });

  test('begins at an earlier id, and waits no longer when asked', async (t) => {
    const { url, requests } = await serve(t, [events('retry: 60000\n\n')]);
    const { stream } = follow(t, url, 'before-9');
    await until('the stream waits', () => stream.state === 'waiting');
    stream.retryNow();
    await until('the stream has ended', () => stream.state === 'ended');
    assert.deepEqual(requests, ['before-9', 'before-9']);
  });

  test('reports nothing after close()', async (t) => {
    const { url, requests } = await serve(t, [events('retry: 1\n\ndata: a\n\ndata: b\n\n')]);
    const seen = [];
    const stream = new EventStream(url, {
      onEvent: (event) => {
        seen.push(event.data);
        stream.close();
      },
    });
    stream.open();
    await until('it is closed', () => seen.length > 0 && stream.state === 'closed');
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(seen, ['a']);
    assert.equal(requests.length, 1);
  });
});
