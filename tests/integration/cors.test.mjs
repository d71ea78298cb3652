// Pages of other origins: who may, who may with cookies, and tricks to be taken for somebody else.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sluice, startGateway } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';

let redis;
before(async () => (redis = await startRedis()));
after(() => redis.stop());

async function start(t, ...flags) {
  const gateway = await startGateway({ redis, flags });
  t.after(() => gateway.stop());
  return gateway;
}

const preflight = (gateway, origin, path = '/events/stream') =>
  gateway.request('OPTIONS', path, { headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'last-event-id,authorization' } });

/** What a browser would make of an answer: none, any page, or that page with or without cookies. */
function allowed({ headers }) {
  const origin = headers['access-control-allow-origin'];
  if (origin === undefined) {
    assert.equal(headers['access-control-allow-credentials'], undefined);
    return 'none';
  }
  return headers['access-control-allow-credentials'] === 'true' ? `${origin} with cookies` : origin;
}

describe('origins and patterns', () => {
  let gateway;
  before(async () => {
    gateway = await startGateway({ redis, flags: ['--cors-origins', 'https://good.example,https://*.apps.example,http://localhost:3000'] });
  });
  after(() => gateway.stop());

  for (const origin of ['https://good.example', 'https://a.apps.example', 'https://b.a.apps.example', 'http://localhost:3000']) {
    test(`${origin} may, with cookies`, async () => {
      const answer = await preflight(gateway, origin);
      assert.equal(answer.status, 204);
      assert.equal(allowed(answer), `${origin} with cookies`);
      assert.match(answer.headers['access-control-allow-headers'], /last-event-id/i);
      assert.match(answer.headers['access-control-allow-headers'], /authorization/i);
      assert.ok(Number(answer.headers['access-control-max-age']) >= 600, 'preflights are cached');
      assert.match(answer.headers.vary, /origin/i);
      const stream = await gateway.stream('/events/stream?channel=x', { origin });
      assert.equal(allowed(stream), `${origin} with cookies`);
      await stream.close();
    });
  }

  for (const origin of [
    'null', 'https://good.example.evil', 'https://evil.good.example', 'https://good.exampl', 'http://good.example', 'https://good.example:8443',
    'https://good.example/', 'https://GOOD.example', 'https://good.example https://evil.example', 'https://evil.example,https://good.example',
    'https://apps.example', 'https://a.apps.example.evil', 'https://evil.example/.apps.example', 'https://evil.example#.apps.example',
    'https://evil.example:1.apps.example', 'https://x@evil.apps.example', 'https://..apps.example', 'https://*.apps.example', '*', 'file://', 'x',
  ]) {
    test(`${origin} may not`, async () => {
      const answer = await preflight(gateway, origin);
      assert.equal(allowed(answer), 'none');
      assert.match(answer.headers.vary, /origin/i);
      assert.equal(allowed(await gateway.get('/batches/absent', { origin })), 'none');
    });
  }

  test('caches keep answers apart, even those to nobody in particular', async () => {
    assert.match((await gateway.get('/batches/absent')).headers.vary, /origin/i);
  });

  test('answers that are errors can be read by the page, too', async () => {
    const origin = 'https://good.example';
    for (const answer of [await gateway.get('/nowhere', { origin }), await gateway.get('/events/stream', { origin }), await gateway.request('DELETE', '/healthz', { headers: { origin } })]) {
      assert.ok(answer.status >= 400);
      assert.equal(allowed(answer), `${origin} with cookies`);
    }
  });
});

test('everybody may, but nobody with cookies', async (t) => {
  const gateway = await start(t, '--cors-origins', '*', '--cors-credentials', 'on');
  assert.equal(allowed(await preflight(gateway, 'https://evil.example')), '*');
  assert.equal(allowed(await preflight(gateway, 'null')), '*');
});

test('cookies can be kept out', async (t) => {
  const gateway = await start(t, '--cors-origins', 'https://good.example', '--cors-credentials', 'off');
  assert.equal(allowed(await preflight(gateway, 'https://good.example')), 'https://good.example');
});

test('without the setting there is no word of it', async (t) => {
  const gateway = await start(t);
  assert.equal(allowed(await preflight(gateway, 'https://good.example')), 'none');
});

test('origins that would never match, or match too much, stop the start', async () => {
  for (const origins of ['null', 'https://good.example/', 'https://*.com', 'https://*', 'good.example', 'https://good.example:443', '*,https://good.example', 'https://Good.example']) {
    const { code, output } = await sluice(['--check', '--cors-origins', origins]);
    assert.notEqual(code, 0, origins);
    assert.match(output, /cors_origins/);
  }
});
