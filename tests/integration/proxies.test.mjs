// The examples of deploy/, run for real: a stream passes through at once, and the rest of the API works.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
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
      gateway = await startGateway({ redis, flags: ['--heartbeat', '200ms'] });
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
