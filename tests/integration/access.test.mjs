// Who may read and write what: tokens with a secret, every endpoint, and what must not widen.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { sluice, startGateway, startSluice } from '../support/gateway.mjs';
import { freePort, makeFolder, removeFolder, runProcess } from '../support/processes.mjs';
import { startReceiver } from '../support/receiver.mjs';
import { startRedis } from '../support/redis.mjs';
import { bearer, claims, makePair, makeToken, SECRET, seconds, unsignedToken } from '../support/tokens.mjs';
import { until } from '../support/wait.mjs';

const token = (sluice_, more, options) => makeToken(claims(sluice_, more), options);

describe('access by tokens', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({
      redis,
      environment: { SLUICE_JWT_SECRET: SECRET, SLUICE_CORS_ORIGINS: 'https://app.example' },
    });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  /** The status of a GET with these headers; a stream is closed again. */
  async function status(path, headers) {
    const stream = await gateway.stream(path, headers);
    await stream.close();
    return stream.status;
  }

  test('nobody is known without a credential, and is told what to send', async () => {
    const requests = [
      ['GET', '/events/stream?channel=news'],
      ['POST', '/events/publish', { channel: 'news', payload: 1 }],
      ['GET', '/batches/42'],
      ['PUT', '/batches/42', { status: 'PROCESSING' }],
      ['DELETE', '/batches/42'],
      ['GET', '/batches/42/stream'],
      ['GET', '/streams'],
      ['GET', '/streams/orders'],
      ['GET', '/streams/orders/groups/g/events?consumer=c'],
      ['POST', '/streams/orders/groups/g/ack', { ids: ['1-1'] }],
      ['POST', '/streams/orders/groups/g/nack', { ids: ['1-1'], consumer: 'c' }],
      ['GET', '/metrics'],
      ['GET', '/'],
      ['GET', '/api/v1/events/stream?channel=news'],
    ];
    for (const [method, path, body] of requests) {
      const answer = await gateway.request(method, path, { body });
      assert.equal(answer.status, 401, `${method} ${path}`);
      assert.equal(answer.headers['www-authenticate'], 'Bearer realm="sluice"', `${method} ${path}`);
      assert.equal(answer.headers['content-type'], 'application/problem+json');
      assert.match(answer.json().detail, /Authorization: Bearer/);
    }
    for (const path of ['/healthz', '/readyz']) assert.equal((await gateway.get(path)).status, 200, path);
    assert.equal((await gateway.request('OPTIONS', '/events/stream')).status, 204, 'a preflight has no credentials');
    assert.equal((await gateway.get('/nothing/here')).status, 404);
  });

  test('a token may what it says, on every endpoint', async () => {
    const reader = bearer(token({ subscribe: ['news', 'batch:42', 'stream:orders'] }));
    const writer = bearer(token({ publish: ['news', 'batch:42', 'stream:orders', 'live:sale'] }));
    const worker = bearer(token({ consume: ['stream:orders'] }));
    const admin = bearer(token({ admin: true }));
    const cases = [
      // method, path, body, headers, status
      ['POST', '/events/publish', { channel: 'news', payload: 1 }, writer, 200],
      ['POST', '/events/publish', { channel: 'news', payload: 1 }, reader, 403],
      ['POST', '/events/publish', { stream: 'orders', payload: { a: 1 } }, writer, 200],
      ['POST', '/events/publish', { channel: 'orders', payload: 1 }, writer, 403],
      ['POST', '/events/publish', { event: 'sale', payload: 1 }, writer, 200],
      ['POST', '/events/publish', { event: 'sale', critical: true, payload: { a: 1 } }, writer, 403],
      ['POST', '/events/publish', { channel: 'news', stream: 'mails', payload: { a: 1 } }, writer, 403],
      ['PUT', '/batches/42', { status: 'PROCESSING' }, writer, 200],
      ['PUT', '/batches/42', { status: 'PROCESSING' }, reader, 403],
      ['GET', '/batches/42', undefined, reader, 200],
      ['GET', '/batches/42', undefined, writer, 403],
      ['DELETE', '/batches/42', undefined, reader, 403],
      ['DELETE', '/batches/42', undefined, writer, 204],
      ['POST', '/streams/orders/groups/g/ack', { ids: ['1-1'] }, reader, 403],
      ['POST', '/streams/orders/groups/g/ack', { ids: ['1-1'] }, worker, 404],
      ['POST', '/streams/orders/groups/g/nack', { ids: ['1-1'], consumer: 'c' }, reader, 403],
      ['GET', '/streams/orders', undefined, reader, 403],
      ['GET', '/streams/orders', undefined, admin, 200],
      ['GET', '/streams', undefined, admin, 200],
      ['GET', '/metrics', undefined, reader, 403],
      ['GET', '/metrics', undefined, admin, 200],
      ['GET', '/', undefined, reader, 403],
      ['GET', '/', undefined, admin, 200],
    ];
    for (const [method, path, body, headers, expected] of cases) {
      const answer = await gateway.request(method, path, { body, headers });
      assert.equal(answer.status, expected, `${method} ${path} ${JSON.stringify(body)}: ${answer.text}`);
    }
    for (const [path, headers, expected] of [
      ['/events/stream?channel=news&stream=orders', reader, 200],
      ['/events/stream?channel=news&channel=other', reader, 403],
      ['/events/stream?channel=news', admin, 403],
      ['/batches/42/stream', reader, 200],
      ['/batches/43/stream', reader, 403],
      ['/streams/orders/groups/g/events?consumer=c', reader, 403],
      ['/streams/orders/groups/g/events?consumer=c', worker, 200],
      ['/streams/mails/groups/g/events?consumer=c', worker, 403],
    ])
      assert.equal(await status(path, headers), expected, path);
  });

  test('a token made as the documentation says opens what it says', async () => {
    const text = readFileSync(new URL('../../docs/ACCESS.md', import.meta.url), 'utf8');
    const [, commands] = /```sh\n(part\(\)[\s\S]*?)```/.exec(text);
    const { code, stdout, output } = await runProcess('bash', ['-c', `${commands}\nprintf %s "$TOKEN"`], { environment: { SLUICE_JWT_SECRET: SECRET } });
    assert.equal(code, 0, output);
    assert.equal(await status('/batches/42/stream', bearer(stdout)), 200);
    assert.equal(await status('/batches/43/stream', bearer(stdout)), 403);
    const [, claims_] = /```json\n(\{"sub".*)\n```/.exec(text);
    assert.equal(await status('/events/stream?channel=user:u1.news', bearer(makeToken({ ...JSON.parse(claims_), exp: seconds(60) }))), 200);
  });

  test('a refusal names the topic, in the answer and in the log', async () => {
    await setTimeout(1100); // only so many refusals of a second are logged
    const headers = bearer(token({ subscribe: ['news'], publish: ['news'] }, { sub: 'bob' }));
    const refused = await gateway.get('/events/stream?channel=news&stream=secret-stream', headers);
    assert.equal(refused.status, 403);
    assert.match(refused.json().detail, /stream secret-stream/);
    const many = [{ channel: 'news', payload: 1 }, { channel: 'secret-channel', payload: 2 }];
    const publish = await gateway.publish(many, headers);
    assert.equal(publish.status, 403, 'all of an array, or nothing of it');
    assert.match(publish.json().detail, /channel secret-channel/);
    await until('a line in the log', () => /access refused.*reason=not-granted.*subject=bob.*secret-channel/.test(gateway.log));
    const nothing = await gateway.publish({ channel: 'news', payload: 1 }, bearer(token(undefined)));
    assert.equal(nothing.status, 403);
  });

  test('what is granted does not widen', async () => {
    const cases = [
      [['batch:4'], '/batches/4/stream', 200],
      [['batch:4'], '/batches/42/stream', 403],
      [['batch:4'], '/events/stream?channel=batch:42', 403],
      [['batch:42'], '/batches/4/stream', 403],
      [['batch:*'], '/batches/42/stream', 200],
      [['batch:*'], '/events/stream?channel=batch', 403],
      [['orders.*'], '/events/stream?channel=orders.new', 200],
      [['orders.*'], '/events/stream?pattern=orders.*', 200],
      [['orders.*'], '/events/stream?pattern=orders.e?.*', 200],
      [['orders.*'], '/events/stream?pattern=order*', 403],
      [['orders.*'], '/events/stream?pattern=*', 403],
      [['orders.*'], '/events/stream?pattern=%5Bo%5Drders.*', 403],
      [['orders.*'], '/events/stream?pattern=orders%5C.*', 403],
      [['orders.new'], '/events/stream?pattern=orders.*', 403],
      [['*'], '/events/stream?pattern=*', 200],
      [['batch:42'], '/batches/4%32/stream', 200], // decoded before it is compared
      [['batch:%34'], '/batches/4/stream', 403],
      [['batch:a/b'], '/batches/a%2Fb/stream', 200],
      [['caf\u00e9'], '/events/stream?channel=caf%C3%A9', 200],
      [['caf\u00e9'], '/events/stream?channel=cafe%CC%81', 403],
      [['news'], '/events/stream?channel=news%00', 400],
      [['news'], '/events/stream?channel=NEWS', 403],
      [['news'], '/events/stream?channel=news&channel=', 403],
      [['news'], '/events/stream?channel=*', 403], // a name like any other
      [['news'], '/events/stream?channel=%2A', 403],
      [['batch:4'], '/events/stream?channel=batch:*', 403],
      [['batch:4'], '/batches/*/stream', 403],
      [['batch:4'], '/batches/%2A/stream', 403],
      [['batch:4'], '/batches/4%00/stream', 400],
      [['stream:x'], '/events/stream?stream=*', 403],
      [['stream:x'], '/events/stream?stream=x', 200],
      [['stream:x'], '/events/stream?channel=stream:x', 403],
      [['stream:x'], '/events/stream?channel=x', 403],
      [['x'], '/events/stream?stream=x', 403],
      [['stream:*'], '/events/stream?pattern=stream:*', 403],
      [['s*'], '/events/stream?stream=x', 403],
      [['s*'], '/events/stream?channel=stream:x', 200],
    ];
    for (const [subscribe, path, expected] of cases)
      assert.equal(await status(path, bearer(token({ subscribe }))), expected, `${subscribe} on ${path}`);
  });

  test('forged and misshapen tokens are nobody', async () => {
    const rights = { subscribe: ['*'], publish: ['*'], admin: true };
    const good = claims(rights);
    const sound = makeToken(good);
    const [header, payload, signature] = sound.split('.');
    const deep = '['.repeat(3000) + ']'.repeat(3000);
    const tokens = {
      'alg none': unsignedToken(good),
      'alg None': unsignedToken(good, 'None'),
      'alg none with a signature': unsignedToken(good, 'none', signature),
      'alg missing': makeToken(good, { header: { alg: undefined } }),
      'another secret': makeToken(good, { key: 'another secret' }),
      'an empty secret': makeToken(good, { key: '' }),
      'no signature': `${header}.${payload}.`,
      'half a signature': `${header}.${payload}.${signature.slice(0, 20)}`,
      'a changed payload': `${header}.${Buffer.from(JSON.stringify({ ...good, sub: 'root' })).toString('base64url')}.${signature}`,
      'padding': `${header}.${payload}.${signature}=`,
      'four parts': `${sound}.x`,
      'expired': makeToken(claims(rights, { exp: seconds(-60) })),
      'expired at once': makeToken(claims(rights, { exp: 1 })),
      'not yet valid': makeToken(claims(rights, { nbf: seconds(60) })),
      'exp in milliseconds': makeToken(claims(rights, { exp: Date.now() + 3600000 })),
      'exp as text': makeToken(claims(rights, { exp: '9999999999' })),
      'for an audience': makeToken(claims(rights, { aud: 'another service' })),
      'a number as the subject': makeToken(claims(rights, { sub: 7 })),
      'claims twice': makeToken(null, { raw: `{"sluice":{"subscribe":[]},"sluice":{"admin":true,"subscribe":["*"]}}` }),
      'rights twice': makeToken(null, { raw: `{"sluice":{"subscribe":[],"subscribe":["*"],"admin":true}}` }),
      'an array as claims': makeToken(null, { raw: '[]' }),
      'nested': makeToken(null, { raw: `{"sluice":{"subscribe":["*"],"admin":true},"x":${deep}}` }),
      'huge': makeToken({ ...good, filler: 'x'.repeat(9000) }),
      'crit': makeToken(good, { header: { crit: ['exp'] } }),
      'another type': makeToken(good, { header: { typ: 'logout+jwt' } }),
      'a key of its own': makeToken(good, { key: 'mine', header: { jwk: { kty: 'oct', k: Buffer.from('mine').toString('base64url') } } }),
      'kid that is a path': makeToken(good, { key: '', header: { kid: '/dev/null' } }),
      'kid that climbs': makeToken(good, { key: '', header: { kid: '../../../../dev/null' } }),
      'kid that is a query': makeToken(good, { key: 'x', header: { kid: "x' UNION SELECT 'x" } }),
      'kid that is a number': makeToken(good, { header: { kid: 5 } }),
      'a misspelt right': makeToken(claims({ subscribe: ['*'], subcribe: ['*'], admin: true })),
      'a star in the middle': makeToken(claims({ subscribe: ['a*b', '*'], admin: true })),
      'rights as text': makeToken(claims({ subscribe: '*', admin: true })),
      'admin as text': makeToken(claims({ subscribe: ['*'], admin: 'true' })),
      'nothing': '',
      'a dot': '.',
      'two dots': '..',
    };
    for (const [what, value] of Object.entries(tokens)) {
      const answer = await gateway.get('/metrics', { authorization: `Bearer ${value}` });
      assert.equal(answer.status, 401, `${what}: ${answer.text}`);
      assert.match(answer.headers['www-authenticate'], /^Bearer realm="sluice"/, what);
    }
    assert.equal((await gateway.get('/metrics', bearer(sound))).status, 200, 'the sound one passes');
    for (const algorithm of ['HS384', 'HS512'])
      assert.equal((await gateway.get('/metrics', bearer(makeToken(good, { algorithm })))).status, 200, algorithm);
    const lately = makeToken(claims(rights, { exp: seconds(-2) }));
    assert.equal((await gateway.get('/metrics', bearer(lately))).status, 200, 'within the leeway');
    for (const scheme of ['Basic YTpi', 'bearer', `Token ${sound}`, sound])
      assert.equal((await gateway.get('/metrics', { authorization: scheme })).status, 401, scheme);
    assert.equal((await gateway.get('/metrics', { authorization: `bearer ${sound}` })).status, 200, 'schemes have no case');
    assert.doesNotMatch(gateway.log, new RegExp(signature), 'no credential is logged');
    assert.ok(!gateway.log.includes(SECRET));
  });

  test('a cookie counts for our own pages and for those that are listed', async () => {
    const cookie = `theme=dark; sluice_token=${token({ subscribe: ['news'], publish: ['news'], consume: ['stream:s'] })}; x=y`;
    const host = `127.0.0.1:${gateway.port}`;
    const stream = '/events/stream?channel=news';
    for (const [headers, expected, what] of [
      [{}, 200, 'a GET without an origin'],
      [{ origin: `http://${host}` }, 200, 'our own'],
      [{ origin: 'https://app.example' }, 200, 'listed'],
      [{ origin: 'https://evil.example' }, 403, 'foreign'],
      [{ origin: 'https://app.example.evil.example' }, 403, 'begins like one that is listed'],
      [{ origin: 'null' }, 403, 'null'],
      [{ 'sec-fetch-site': 'cross-site' }, 403, 'from another site'],
      [{ 'sec-fetch-site': 'same-origin' }, 200, 'from our own'],
    ])
      assert.equal(await status(stream, { cookie, ...headers }), expected, what);
    const publish = (headers) => gateway.publish({ channel: 'news', payload: 1 }, { cookie, ...headers });
    assert.equal((await publish({})).status, 403, 'a POST without an origin is no browser, and may be a forged one');
    assert.equal((await publish({ origin: 'https://evil.example' })).status, 403);
    assert.equal((await publish({ origin: 'https://app.example' })).status, 200);
    assert.equal(await status('/streams/s/groups/g/events?consumer=c', { cookie }), 403, 'this GET takes entries');
    const twice = `sluice_token=a.b.c; ${cookie}`;
    assert.equal(await status(stream, { cookie: twice }), 401, 'two of that name');
    assert.equal(await status(stream, { cookie: 'Sluice_token=a.b.c' }), 401);
    assert.equal(await status(stream, { cookie, authorization: 'Bearer a.b.c' }), 401, 'a bad token is not made good by a cookie');
  });
});

test('the cookie of tokens has the name that is set, or there is none', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const good = token({ subscribe: ['batch:*'] });
  for (const [name, taken] of [['session_jwt', ['session_jwt']], ['', []]]) {
    const gateway = await startGateway({ redis, environment: { SLUICE_JWT_SECRET: SECRET, SLUICE_JWT_COOKIE: name } });
    t.after(() => gateway.stop());
    for (const cookie of ['session_jwt', 'sluice_token', 'SESSION_JWT', 'xsession_jwt', ''])
      assert.equal((await gateway.get('/batches/none', { cookie: `${cookie}=${good}` })).status, taken.includes(cookie) ? 404 : 401, `${cookie} where it is "${name}"`);
  }
});

describe('the settings of access', () => {
  const check = (flags, environment) => sluice(['serve', '--check', ...flags], { environment });

  test('another address than loopback needs a decision', async () => {
    const refused = await check(['--listen', '0.0.0.0:8000']);
    assert.equal(refused.code, 2);
    assert.match(refused.output, /access: open/);
    assert.match(refused.output, /SLUICE_JWT_SECRET|jwt_secret/);
    assert.equal((await check(['--listen', '0.0.0.0:8000', '--access', 'open'])).code, 0);
    const configured = await check(['--listen', '0.0.0.0:8000'], { SLUICE_JWT_SECRET: SECRET });
    assert.equal(configured.code, 0, configured.output);
    const short = await check(['--listen', '0.0.0.0:8000'], { SLUICE_JWT_SECRET: 'too short' });
    assert.equal(short.code, 2);
    assert.match(short.output, /32 bytes/);
    const both = await check(['--access', 'open'], { SLUICE_JWT_SECRET: SECRET });
    assert.equal(both.code, 2, 'open and configured contradict each other');
  });

  test('each way to know callers is a decision, and --check names it', async (t) => {
    const folder = makeFolder();
    t.after(() => removeFolder(folder));
    const pem = join(folder, 'keys.pem'), keys = join(folder, 'keys');
    writeFileSync(pem, makePair('ES256').pem);
    writeFileSync(keys, (await sluice(['key', 'new', '--name', 'n8n', '--publish', 'orders.*'])).stdout.split('\n').slice(1).join('\n'), { mode: 0o600 });
    const ways = [
      [{ SLUICE_JWT_SECRET: SECRET }, /HS256/],
      [{ SLUICE_JWT_KEY_FILE: pem }, /ES256/],
      [{ SLUICE_JWT_JWKS_URL: 'https://id.example/jwks?key=hunter2' }, /signed with a key of jwt_jwks_url/],
      [{ SLUICE_KEYS_FILE: keys }, /n8n may publish to orders\.\*/],
      [{ SLUICE_ACCESS_AUTHORIZE_URL: 'http://user:hunter2@app:3000/may' }, /the application at access_authorize_url/],
    ];
    for (const [environment, wanted] of ways) {
      const { code, stdout, output } = await check(['--listen', '0.0.0.0:8000', '--admin-listen', '0.0.0.0:9000'], environment);
      assert.equal(code, 0, output);
      const [, who] = stdout.split('Who may do what:');
      assert.match(who, wanted);
      assert.match(who, /nobody else may anything/);
      assert.doesNotMatch(who, /everybody/);
      assert.ok(!output.includes('hunter2'), output);
    }
  });

  test('a gateway that has only an application to ask serves the network, and lets nobody in by itself', async (t) => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const application = await startReceiver(t, (seen) => (seen.headers.cookie === 'sid=ann' ? 204 : 403));
    const port = await freePort();
    const process = startSluice(['serve', '--listen', `0.0.0.0:${port}`, '--redis-url', redis.url], { environment: { SLUICE_ACCESS_AUTHORIZE_URL: application.url } });
    t.after(() => process.stop());
    const ask = (headers) => fetch(`http://127.0.0.1:${port}/batches/42`, { headers }).then(({ status }) => status);
    await until('it serves', () => fetch(`http://127.0.0.1:${port}/readyz`).then(({ ok }) => ok, () => false));
    assert.equal(await ask({}), 401);
    assert.equal(await ask({ cookie: 'sid=bob' }), 403);
    assert.equal(await ask({ cookie: 'sid=ann' }), 404, 'let in; there is no such batch');
    assert.equal(application.requests.length, 2);
  });

  test('--check says who may do what', async () => {
    const open = await check([]);
    assert.match(open.stdout, /everybody who can connect may read, publish and administrate/);
    const configured = await check([], { SLUICE_JWT_SECRET: SECRET });
    assert.match(configured.stdout, /claim "sluice".*HS256/);
    assert.ok(!configured.output.includes(SECRET));
    assert.ok(!configured.stdout.includes(SECRET));
    const wrong = await check([], { SLUICE_JWT_KEY_FILE: '/dev/null' });
    assert.equal(wrong.code, 2);
    assert.match(wrong.output, /jwt_key_file/);
  });
});
