// The application is asked: its sessions open streams, and whatever it does wrong opens none.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startGateway } from '../support/gateway.mjs';
import { startReceiver } from '../support/receiver.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

const SAME_SITE = { 'sec-fetch-site': 'same-origin' };
const session = (id, more = {}) => ({ cookie: `sid=${id}`, ...SAME_SITE, ...more });

describe('asking the application', () => {
  let redis, application, gateway, decide;
  const cleanups = [];
  before(async () => {
    redis = await startRedis();
    application = await startReceiver({ after: (cleanup) => cleanups.push(cleanup) }, (seen) => decide(seen));
    gateway = await startGateway({
      redis,
      environment: {
        SLUICE_ACCESS_AUTHORIZE_URL: application.url,
        SLUICE_ACCESS_AUTHORIZE_TIMEOUT: '1500ms',
        SLUICE_CORS_ORIGINS: 'https://app.example',
      },
    });
  });
  after(async () => {
    await gateway?.stop();
    for (const cleanup of cleanups) await cleanup();
    await redis?.stop();
  });
  beforeEach(() => {
    decide = () => 204;
    application.requests.length = 0;
  });

  async function open(path, headers) {
    const stream = await gateway.stream(path, headers);
    await stream.close();
    return stream.status;
  }

  /** Opens a stream that is deferred as EventSource needs it: 200, `refused`, a late retry, the end. */
  async function isDeferred(path, headers) {
    const stream = await gateway.stream(path, headers);
    if (stream.status !== 200) return stream.status;
    const first = await stream.next();
    assert.equal(first.event, 'refused', first.data);
    assert.ok((await stream.seesRetry()) >= 10000);
    await stream.end();
    return 'deferred';
  }

  test('a session opens a stream, asked with its cookie and the topic', async () => {
    const stream = await gateway.stream('/events/stream?channel=a-1&stream=s-1', session('s1', { cookie: 'sid=s1; theme=dark' }));
    assert.equal(stream.status, 200);
    await until('the subscription', async () => (await redis.subscriptions('a-1')) === 1);
    await redis.publish('a-1', '1');
    assert.match((await stream.next()).data, /"channel":"a-1"/);
    await stream.close();
    const [{ path, headers, body }] = application.requests;
    assert.equal(path, '/hook');
    assert.equal(headers.cookie, 'sid=s1; theme=dark');
    assert.equal(headers.authorization, undefined);
    assert.deepEqual(JSON.parse(body), {
      action: 'subscribe',
      topics: [{ kind: 'channel', name: 'a-1' }, { kind: 'stream', name: 's-1' }],
    });
  });

  test('its no is a no, to readers and to writers', async () => {
    decide = () => 403;
    assert.equal(await open('/events/stream?channel=a-2', session('s2')), 403);
    decide = () => 401;
    assert.equal(await open('/events/stream?channel=a-2', session('s3')), 401);
    const published = await gateway.publish({ channel: 'a-2', payload: 1 }, session('s3'));
    assert.equal(published.status, 401);
    assert.equal(JSON.parse(application.requests.at(-1).body).action, 'publish');
    decide = (seen) => (JSON.parse(seen.body).action === 'publish' ? 204 : 403);
    assert.equal((await gateway.publish({ channel: 'a-3', payload: 1 }, session('s4'))).status, 200);
    assert.equal((await gateway.request('PUT', '/batches/a-4', { body: { status: 'PROCESSING' }, headers: session('s4') })).status, 200);
    assert.equal((await gateway.get('/batches/a-4', session('s4'))).status, 403);
    assert.equal((await gateway.get('/metrics', session('s4'))).status, 403);
  });

  test('a cookie of a page of another site is not shown to it', async () => {
    const foreign = [
      { cookie: 'sid=f1', origin: 'https://evil.example' },
      { cookie: 'sid=f1', origin: 'null' },
      { cookie: 'sid=f1', 'sec-fetch-site': 'cross-site' },
      { cookie: 'sid=f1', origin: 'https://app.example.evil.example' },
    ];
    for (const headers of foreign) {
      const status = await open('/events/stream?channel=a-5', headers);
      assert.ok([401, 403].includes(status), `${status} ${JSON.stringify(headers)}`);
      assert.ok([401, 403].includes((await gateway.publish({ channel: 'a-5', payload: 1 }, headers)).status));
    }
    assert.equal(application.requests.length, 0);
    assert.equal(await open('/events/stream?channel=a-5', { cookie: 'sid=f1', origin: 'https://app.example' }), 200);
    assert.equal(application.requests.length, 1);
  });

  test('it is asked once for all who wait, and remembers', async () => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    decide = () => ({ status: 204, when: held });
    const opening = Array.from({ length: 20 }, () => open('/events/stream?channel=a-6', session('s6')));
    await application.request();
    release();
    assert.deepEqual(new Set(await Promise.all(opening)), new Set([200]));
    assert.equal(await open('/events/stream?channel=a-6', session('s6')), 200);
    assert.equal(application.requests.length, 1);
    await open('/events/stream?channel=a-6', session('s7'));
    await open('/events/stream?channel=a-7', session('s6'));
    await open('/events/stream?stream=a-6', session('s6'));
    assert.equal(application.requests.length, 4, 'another session, topic or kind is another question');
  });

  test('an answer may say who, what and for how long', async () => {
    decide = () => ({ status: 200, text: JSON.stringify({ subject: 'u1', topics: ['b-*'], ttl: 0 }) });
    assert.equal(await open('/events/stream?channel=b-1', session('s8')), 200);
    assert.equal(await open('/events/stream?channel=c-1', session('s8')), 403);
    assert.equal(await open('/events/stream?pattern=b-*', session('s8')), 200);
    assert.equal(await open('/events/stream?pattern=*', session('s8')), 403);
    assert.equal(await open('/events/stream?channel=b-1', session('s8')), 200);
    assert.equal(application.requests.length, 5, 'ttl 0 is not kept');
    decide = () => ({ status: 200, text: JSON.stringify({ exp: Date.now() / 1000 + 1 }) });
    const stream = await gateway.stream('/events/stream?channel=b-2', session('s8'));
    assert.equal((await stream.nextWhere(({ event }) => event === 'expired', 10000)).event, 'expired');
    await stream.end();
    const again = await gateway.stream('/events/stream?channel=b-2', session('s8'));
    await again.close();
    assert.equal(again.status, 200, 'who comes back is asked about anew');
  });

  test('what it has beyond the question gives nothing elsewhere', async () => {
    decide = () => ({ status: 200, text: JSON.stringify({ subscribe: ['*', 'stream:*'], publish: ['*'], admin: true }) });
    assert.equal(await open('/events/stream?channel=d-1', session('s9')), 200);
    decide = () => 403;
    assert.equal(await open('/events/stream?channel=d-2', session('s9')), 403);
    assert.equal((await gateway.publish({ channel: 'd-1', payload: 1 }, session('s9'))).status, 403);
    assert.equal((await gateway.get('/metrics', session('s9'))).status, 403);
  });

  test('an application that is slow, down or lies opens nothing, and a browser comes back later', async () => {
    const lies = {
      slow: { hang: true },
      gone: { reset: true },
      broken: { status: 500 },
      absent: { status: 404 },
      html: { status: 200, text: '<!doctype html><title>Welcome</title>' },
      ok: { status: 200, text: 'OK' },
      garbage: { status: 200, text: '{"subscribe": [' },
      unknown: { status: 200, text: '{"subscibe": ["*"]}' },
      wrong: { status: 200, text: '{"subscribe": "*"}' },
      pattern: { status: 200, text: '{"subscribe": ["*a*"]}' },
      huge: { status: 200, text: JSON.stringify({ subject: 'x'.repeat(1 << 20) }) },
      redirect: { status: 302, headers: { location: `${application.url}?yes` } },
      login: { status: 307, headers: { location: '/login' } },
    };
    for (const [name, lie] of Object.entries(lies)) {
      decide = (seen) => (seen.path === '/hook' ? lie : 204);
      const before = application.requests.length;
      assert.equal(await isDeferred(`/events/stream?channel=e-${name}`, session('s10')), 'deferred', name);
      assert.equal(application.requests.length, before + 1, `${name}: asked once, and no redirect followed`);
      const published = await gateway.publish({ channel: `e-${name}`, payload: 1 }, session('s10'));
      assert.equal(published.status, 503, name);
      assert.ok(Number(published.headers['retry-after']) > 0);
    }
    assert.match(gateway.log, /the application did not say who may do what/);
    assert.match(gateway.log, /access refused reason=undecided/);
    assert.doesNotMatch(gateway.log, /sid=/);
  });

  test('names cannot put headers into the question', async () => {
    const name = 'x"}],"action":"admin","y":[{" Ä \\u0022';
    assert.equal(await open(`/events/stream?channel=${encodeURIComponent(name)}`, session('s11')), 200);
    const [{ headers, body }] = application.requests;
    assert.deepEqual(JSON.parse(body), { action: 'subscribe', topics: [{ kind: 'channel', name }] });
    assert.equal(headers['content-length'], String(Buffer.byteLength(body)));
    assert.ok([400, 401].includes(await open('/events/stream?channel=x%0D%0AX-Admin:%201', session('s11'))));
    assert.equal(application.requests.length, 1);
  });

  test('without a cookie or a token nobody is asked', async () => {
    assert.equal(await open('/events/stream?channel=f-1'), 401);
    assert.equal(application.requests.length, 0);
    assert.equal(await open('/events/stream?channel=f-1', { authorization: 'Token abc' }), 200);
    assert.equal(application.requests[0].headers.authorization, 'Token abc');
  });
});

test('when the gateway ends, who waits for the application is answered', async (t) => {
  const redis = await startRedis();
  const application = await startReceiver(t, () => ({ hang: true }));
  t.after(() => redis.stop());
  const gateway = await startGateway({
    redis,
    environment: { SLUICE_ACCESS_AUTHORIZE_URL: application.url, SLUICE_ACCESS_AUTHORIZE_TIMEOUT: '60s' },
  });
  t.after(() => gateway.stop());
  const published = Array.from({ length: 12 }, (_, i) => gateway.publish({ channel: `x-${i % 3}`, payload: 1 }, session('s1')));
  const opened = Array.from({ length: 12 }, (_, i) => gateway.stream(`/events/stream?channel=x-${i % 4}`, session('s1')));
  await application.request(7);
  await gateway.stop();
  for (const answer of await Promise.all(published)) assert.equal(answer.status, 503);
  for (const stream of await Promise.all(opened)) {
    assert.equal(stream.status, 200);
    assert.equal((await stream.next()).event, 'refused');
    await stream.end();
  }
  assert.equal(application.requests.length, 7, 'three to publish, four to read');
});

test('the figures are of the whole gateway', async (t) => {
  const redis = await startRedis();
  const application = await startReceiver(t, (seen) => (seen.headers.cookie === 'sid=no' ? 500 : { status: 200, text: '{"admin":true}' }));
  t.after(() => redis.stop());
  const gateway = await startGateway({ redis, environment: { SLUICE_ACCESS_AUTHORIZE_URL: application.url } });
  t.after(() => gateway.stop());
  assert.equal((await gateway.publish({ channel: 'x', payload: 1 }, session('no'))).status, 503);
  let text;
  for (let i = 0; i < 10; i++) text = (await gateway.get('/metrics', session('admin'))).text;
  assert.match(text, /^sluice_authorizer_asks_total 2$/m);
  assert.match(text, /^sluice_authorizer_hits_total 9$/m);
  assert.match(text, /^sluice_authorizer_failures_total 1$/m);
});
