// The examples of deploy/, run for real: a stream passes through at once, and the rest of the API works.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT, startGateway } from '../support/gateway.mjs';
import { freePort, makeFolder, removeFolder, startProcess } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { openStream } from '../support/sse.mjs';
import { until } from '../support/wait.mjs';

/** An example with its addresses replaced. */
function example(name, port, upstream) {
  const text = readFileSync(join(ROOT, 'deploy', name), 'utf8');
  const changed = text.replace('127.0.0.1:8000', `127.0.0.1:${upstream}`).replace(/(listen |bind :)8080/, (_, word) =>
    word === 'listen ' ? `listen 127.0.0.1:${port}` : `bind 127.0.0.1:${port}`);
  assert.notEqual(changed, text);
  return changed;
}

const proxies = {
  nginx(folder, port, upstream) {
    writeFileSync(join(folder, 'sluice.conf'), example('nginx.conf', port, upstream));
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join('\n');
    const main = `daemon off; pid ${folder}/pid; error_log stderr; events {}
      http { access_log off; ${paths} include ${folder}/sluice.conf; }`;
    writeFileSync(join(folder, 'nginx.conf'), main);
    return startProcess('nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')]);
  },
  haproxy(folder, port, upstream) {
    writeFileSync(join(folder, 'haproxy.cfg'), example('haproxy.cfg', port, upstream));
    return startProcess('haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]);
  },
};

for (const [name, start] of Object.entries(proxies)) {
  describe(`behind ${name}`, () => {
    let redis, gateway, proxy, folder, origin;
    before(async () => {
      redis = await startRedis();
      gateway = await startGateway({ redis, flags: ['--heartbeat', '200ms', '--trusted-proxies', '127.0.0.1', '--identity-header', 'X-User-Id'] });
      folder = makeFolder();
      const port = await freePort();
      origin = `http://127.0.0.1:${port}`;
      proxy = start(folder, port, gateway.port);
      await until(`${name} serves`, async () => {
        try {
          return (await fetch(`${origin}/healthz`)).status === 200;
        } catch {
          return false;
        }
      });
    });
    after(async () => {
      await proxy?.stop('SIGTERM');
      await gateway?.stop();
      await redis?.stop();
      if (folder) removeFolder(folder);
    });

    test('a stream passes unbuffered, event by event', async () => {
      const stream = await openStream(`${origin}/events/stream?channel=x`);
      await stream.seesRetry();
      await until('a subscription', () => redis.subscriptions('x'));
      for (let n = 0; n < 10; n++) {
        await redis.publish('x', String(n));
        assert.equal((await stream.next(1000)).data, String(n));
      }
      await stream.seesComment(2);
      await stream.close();
      await until('the gateway knows it is gone', async () => (await gateway.metric('sluice_sse_clients')) === 0);
    });

    test('a form of a page of its own is taken, and none of another', async () => {
      const send = (from) => fetch(`${origin}/events/publish`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', origin: from },
        body: 'channel=x&payload=1',
      });
      assert.equal((await send(origin)).status, 200);
      assert.equal((await send('http://other.example')).status, 403);
    });

    test('the caller is who calls the proxy, whatever he says himself', async () => {
      const from = gateway.log.length;
      const headers = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=203.0.113.7', 'x-real-ip': '203.0.113.7' };
      await new Promise((resolve, reject) => {
        http.get(`${origin}/healthz/forged`, { headers, localAddress: '127.0.0.5', agent: false }, (response) => resolve(response.resume())).on('error', reject);
      });
      const [line] = await gateway.process.sees(/.*path=\/healthz\/forged .*/, { from });
      assert.match(line, / peer=127\.0\.0\.5 proxy=127\.0\.0\.1$/);
    });

    test('publishing and snapshots', async () => {
      const headers = { 'content-type': 'application/json' };
      const put = await fetch(`${origin}/batches/b`, { method: 'PUT', headers, body: '{"progress":1}' });
      assert.ok(put.ok);
      assert.deepEqual(await (await fetch(`${origin}/api/batches/b`)).json(), { progress: 1 });
      const published = await fetch(`${origin}/events/publish`, { method: 'POST', headers, body: '{"channel":"x","payload":1}' });
      assert.equal(published.status, 200);
    });

    test('a batch ends for its viewer', async () => {
      const stream = await openStream(`${origin}/batches/c/stream`);
      await until('a subscription', () => redis.subscriptions('batch:c'));
      await redis.publish('batch:c', '{"status":"COMPLETED"}');
      await stream.end();
      assert.deepEqual(stream.events.map((event) => event.event), ['progress', 'complete']);
    });
  });
}

/** Proxies that pass connections on by the PROXY protocol, with bytes untouched. */
const tunnels = {
  'haproxy, version 1': (port, upstream) => haproxyTunnel(port, upstream, 'send-proxy'),
  'haproxy, version 2': (port, upstream) => haproxyTunnel(port, upstream, 'send-proxy-v2'),
  'haproxy, version 2 with more': (port, upstream) => haproxyTunnel(port, upstream, 'send-proxy-v2 proxy-v2-options unique-id,crc32c'),
  nginx: (port, upstream) => [
    'nginx.conf',
    `load_module /usr/lib/nginx/modules/ngx_stream_module.so;
     daemon off; pid FOLDER/pid; error_log stderr; events {}
     stream { server { listen 127.0.0.1:${port}; proxy_pass 127.0.0.1:${upstream}; proxy_protocol on; } }`,
    (folder) => ['nginx', ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')]],
  ],
};

function haproxyTunnel(port, upstream, options) {
  const text = `defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
  unique-id-format %[uuid()]
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  server s 127.0.0.1:${upstream} source 127.0.0.3 ${options}
`;
  return ['haproxy.cfg', text, (folder) => ['haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')]]];
}

for (const [name, configure] of Object.entries(tunnels)) {
  const isNginx = name === 'nginx';
  test(`the PROXY protocol of ${name}`, async (t) => {
    const folder = makeFolder();
    const redis = await startRedis();
    const port = await freePort();
    // nginx comes from 127.0.0.1, as the readiness probe does: that one then has to go through the proxy, too.
    const gateway = await startGateway({ redis, wait: !isNginx, flags: ['--trusted-proxies', isNginx ? '127.0.0.1' : '127.0.0.3', '--proxy-protocol', 'on'] });
    const [file, text, command] = configure(port, gateway.port);
    writeFileSync(join(folder, file), text.replaceAll('FOLDER', folder));
    const proxy = startProcess(...command(folder));
    t.after(async () => {
      await proxy.stop('SIGTERM');
      await gateway.stop();
      await redis.stop();
      removeFolder(folder);
    });
    // Callers are told apart by the addresses that they have at the proxy.
    const ask = (path, localAddress) => new Promise((resolve) => {
      http.get({ port, host: '127.0.0.1', localAddress, path, agent: false, headers: { 'x-forwarded-for': '203.0.113.7' } },
        (response) => resolve(response.resume().statusCode)).on('error', () => resolve(0));
    });
    await until(`${name} serves`, async () => (await ask('/readyz', '127.0.0.9')) === 200);
    for (const caller of ['127.0.0.7', '127.0.0.8']) {
      assert.equal(await ask(`/healthz/${caller}`, caller), 404);
      const [line] = await gateway.process.sees(new RegExp(`.*path=/healthz/${caller} .*`));
      assert.ok(line.includes(` peer=${caller}`), line);
    }
    const stream = await openStream(`http://127.0.0.1:${port}/events/stream?channel=x`);
    await until('a subscription', () => redis.subscriptions('x'));
    await redis.publish('x', 'through');
    assert.equal((await stream.next()).data, 'through');
    await stream.close();
  });
}
