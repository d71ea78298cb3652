// Who a caller is: nobody but a trusted proxy can say anything about it. And the administrators' own address.

import assert from 'node:assert/strict';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sluice, startGateway } from '../support/gateway.mjs';
import { freePort, makeFolder, removeFolder } from '../support/processes.mjs';
import { RawConnection, statuses } from '../support/raw.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

let redis;
before(async () => (redis = await startRedis()));
after(() => redis.stop());

/** A gateway of its own, ended after test `t`. */
async function start(t, ...flags) {
  const gateway = await startGateway({ redis, flags });
  t.after(() => gateway.stop());
  return gateway;
}

let requests = 0;

/** The line of the access log for a request with these headers: {peer, proxy}. */
async function logged(gateway, headers, send = (path) => gateway.get(path, headers)) {
  const path = `/healthz/${++requests}`;
  await send(path);
  const [line] = await gateway.process.sees(new RegExp(`.*path=${path} .*\\n`));
  return { peer: line.match(/ peer=(\S+)/)?.[1], proxy: line.match(/ proxy=(\S+)/)?.[1] };
}

/** The proxy in the tests of the PROXY protocol; everybody else is 127.0.0.1. */
const PROXY = '127.0.0.2';

/** A request with a header of the PROXY protocol, or anything else, in front of it: all that came back. */
async function behind(gateway, head, from, path = '/healthz') {
  const connection = new RawConnection(gateway.port, from);
  connection.send(head);
  connection.send(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  return connection.end();
}

const VERSION_2 = '\r\n\r\n\0\r\nQUIT\n';
const of203 = `${VERSION_2}\x21\x11\x00\x0c\xcb\x00\x71\x07\x7f\x00\x00\x01\xc3\x50\x01\xbb`;

describe('forged headers', () => {
  test('from somebody who is no proxy of ours change nothing', async (t) => {
    const gateway = await start(t, '--trusted-proxies', '10.0.0.0/8', '--identity-header', 'X-User-Id');
    for (const headers of [
      { 'x-forwarded-for': '203.0.113.7' },
      { forwarded: 'for=203.0.113.7' },
      { 'x-forwarded-for': '10.0.0.1, 10.0.0.2' },
      { 'x-real-ip': '203.0.113.7', 'x-user-id': 'admin' },
    ]) assert.deepEqual(await logged(gateway, headers), { peer: '127.0.0.1', proxy: undefined });
    assert.deepEqual(statuses(await behind(gateway, 'PROXY TCP4 203.0.113.7 127.0.0.1 50000 80\r\n')), [400]);
  });

  test('X-Forwarded-For counts from its right end, to the first that is no proxy', async (t) => {
    const gateway = await start(t, '--trusted-proxies', '127.0.0.1,10.0.0.0/8');
    const peer = async (...values) => (await logged(gateway, { 'x-forwarded-for': values })).peer;
    assert.deepEqual(await logged(gateway, { 'x-forwarded-for': '203.0.113.7' }), { peer: '203.0.113.7', proxy: '127.0.0.1' });
    assert.equal(await peer('1.1.1.1, 203.0.113.7'), '203.0.113.7');
    assert.equal(await peer('1.1.1.1, 203.0.113.7, 10.1.1.1'), '203.0.113.7');
    assert.equal(await peer('1.1.1.1', '203.0.113.7'), '203.0.113.7', 'a proxy that appends a line');
    assert.equal(await peer('2001:db8::7'), '2001:db8::7');
    assert.equal(await peer('nonsense'), '127.0.0.1');
    assert.equal((await logged(gateway, { forwarded: 'for=203.0.113.7' })).peer, '127.0.0.1', 'the other header is not looked at');
  });

  test('Forwarded, when it is the one', async (t) => {
    const gateway = await start(t, '--trusted-proxies', '127.0.0.1', '--forwarded-header', 'forwarded');
    const peer = async (forwarded) => (await logged(gateway, { forwarded })).peer;
    assert.equal(await peer('for=1.1.1.1, for="[2001:db8::7]:443";proto=https'), '2001:db8::7');
    assert.equal((await logged(gateway, { 'x-forwarded-for': '203.0.113.7' })).peer, '127.0.0.1');
    const { status, text } = await gateway.get('/healthz', { forwarded: 'for="1.1.1.1, for=203.0.113.7' });
    assert.equal(status, 400, 'a quote that swallows what the proxy has added');
    assert.match(text, /Forwarded/);
  });

  test('a name that is there twice, or is no text', async (t) => {
    const gateway = await start(t, '--trusted-proxies', '127.0.0.1', '--identity-header', 'X-User-Id');
    assert.equal((await gateway.get('/healthz', { 'x-user-id': 'ann' })).status, 200);
    assert.equal((await gateway.get('/healthz', { 'x-user-id': ['ann', 'bob'] })).status, 400);
    assert.equal((await gateway.get('/healthz', { 'x-user-id': 'x'.repeat(300) })).status, 400);
    assert.equal((await gateway.get('/healthz', { 'x-user-id': '\xff' })).status, 400);
  });

  test('by a unix socket proxies are believed', async (t) => {
    const folder = makeFolder();
    t.after(() => removeFolder(folder));
    const socketPath = join(folder, 'sluice.sock');
    const gateway = await startGateway({ redis, flags: ['--listen', `unix:${socketPath}`], wait: false });
    t.after(() => gateway.stop());
    const send = (path, headers = {}) => new Promise((resolve, reject) => {
      http.get({ socketPath, path, headers, agent: false }, (response) => resolve(response.resume().statusCode)).on('error', reject);
    });
    await until('it serves', () => send('/healthz').then((status) => status === 200, () => false));
    assert.equal((await logged(gateway, {}, send)).peer, 'unix');
    assert.deepEqual(await logged(gateway, {}, (path) => send(path, { 'x-forwarded-for': '203.0.113.7' })), { peer: '203.0.113.7', proxy: 'unix' });
  });
});

describe('the PROXY protocol', () => {
  test('both versions, whole and byte by byte', async (t) => {
    const gateway = await start(t, '--trusted-proxies', PROXY, '--proxy-protocol', 'on', '--head-timeout', '2s');
    const peerBehind = async (head) => {
      const path = `/healthz/${++requests}`;
      const connection = new RawConnection(gateway.port, PROXY);
      for (const byte of head) {
        connection.send(byte);
        if (head.length < 60) await new Promise((resolve) => setImmediate(resolve));
      }
      connection.send(`GET ${path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close\r\n\r\n`);
      assert.deepEqual(statuses(await connection.end()), [404]);
      const [, peer] = await gateway.process.sees(new RegExp(`path=${path} .* peer=(\\S+)`));
      return peer;
    };
    assert.equal(await peerBehind('PROXY TCP4 203.0.113.7 127.0.0.1 50000 80\r\n'), '203.0.113.7');
    assert.equal(await peerBehind('PROXY TCP6 2001:db8::7 ::1 50000 80\r\n'), '2001:db8::7');
    assert.equal(await peerBehind(of203), '203.0.113.7', 'and what it sends in headers is its own invention');
    assert.equal(await peerBehind('PROXY UNKNOWN\r\n'), '9.9.9.9', 'the proxy itself, which is believed');
    assert.equal(await peerBehind(`${VERSION_2}\x20\x00\x00\x00`), '9.9.9.9');
  });

  test('a proxy that does not speak it is not served, and nobody is waited for long', async (t) => {
    const gateway = await start(t, '--trusted-proxies', PROXY, '--proxy-protocol', 'on', '--head-timeout', '300ms');
    const asProxy = (bytes) => {
      const connection = new RawConnection(gateway.port, PROXY);
      connection.send(bytes);
      return connection.end();
    };
    const request = 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    assert.match(await asProxy(of203 + request), /^HTTP\/1.1 200/);
    assert.equal(await asProxy(request), '');
    assert.equal(await asProxy(`PROXY TCP4 203.0.113.7 127.0.0.1 50000 80\n${request}`), '');
    assert.equal(await asProxy(`${VERSION_2}\x21\x11\xff\xff${'x'.repeat(3000)}`), '');
    assert.equal(await asProxy('PROXY TCP4 '), '', 'the deadline');
    assert.equal((await gateway.get('/healthz')).status, 200, 'others are served as ever');
  });

  test('greetings that never come do not take the room of others', async (t) => {
    const gateway = await start(t, '--trusted-proxies', PROXY, '--proxy-protocol', 'on', '--connections-max', '4', '--head-timeout', '500ms');
    const silent = Array.from({ length: 8 }, () => new RawConnection(gateway.port, PROXY));
    assert.deepEqual(statuses(await behind(gateway, 'PROXY UNKNOWN\r\n', PROXY)), [200]);
    for (const connection of silent) await connection.end();
  });
});

describe('an address for administrators', () => {
  const ADMIN = ['/', '/metrics', '/api/metrics', '/api/v1/metrics', '/streams', '/streams/x'];

  test('has what is theirs, and the public one has not', async (t) => {
    const port = await freePort();
    await redis.command('XADD', 'x', '*', 'a', '1');
    const gateway = await start(t, '--admin-listen', `127.0.0.1:${port}`);
    const admin = (path) => fetch(`http://127.0.0.1:${port}${path}`);
    for (const path of ADMIN) {
      assert.equal((await gateway.get(path)).status, 404, path);
      assert.notEqual((await admin(path)).status, 404, path);
    }
    assert.equal((await gateway.request('OPTIONS', '/metrics')).status, 404);
    for (const path of ['/healthz', '/readyz']) {
      assert.equal((await gateway.get(path)).status, 200, path);
      assert.equal((await admin(path)).status, 200, path);
    }
    // Descriptors are used again and again: no connection may be taken for one of the other address.
    for (let round = 0; round < 20; round++) {
      const [own, other] = await Promise.all([admin('/metrics'), gateway.get('/metrics')]);
      assert.deepEqual([own.status, other.status], [200, 404]);
      await own.arrayBuffer();
    }
  });

  test('is refused beyond loopback like the other, and when it is taken', async (t) => {
    const open = await sluice(['--check', '--admin-listen', '0.0.0.0:9000']);
    assert.notEqual(open.code, 0);
    assert.match(open.output, /admin_listen/);
    const gateway = await start(t);
    const taken = await sluice(['serve', '--redis-url', redis.url, '--listen', '127.0.0.1:0', '--admin-listen', `127.0.0.1:${gateway.port}`]);
    assert.notEqual(taken.code, 0);
    assert.match(taken.output, /in use/);
  });
});

test('settings that make no sense are refused', async () => {
  for (const [flag, value] of [
    ['--trusted-proxies', '10.0.0.1/8'], ['--trusted-proxies', 'proxy.example'], ['--identity-header', 'X User'],
    ['--identity-header', 'Authorization'], ['--forwarded-header', 'x-real-ip'], ['--address-ip6-prefix', '129'],
  ]) {
    const { code, output } = await sluice(['--check', flag, value]);
    assert.notEqual(code, 0, value);
    assert.ok(output.includes(flag.slice(2).replaceAll('-', '_')), output);
  }
});
