// Webhook sinks: what is posted, what answers mean, and that nothing is lost on the way.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startFaultProxy } from '../support/fault_proxy.mjs';
import { sluice, startGateway } from '../support/gateway.mjs';
import { freePort, makeFolder, removeFolder, runProcess } from '../support/processes.mjs';
import { startReceiver } from '../support/receiver.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

/** Entries of the test that makes sure of the promise. */
const ENTRIES = Number(process.env.SLUICE_WEBHOOK_ENTRIES ?? 10000);

/** Quick enough for tests; a sink may say otherwise. */
const QUICK = { start: 'all', timeout: '1s', backoff: '20ms', backoff_max: '100ms', idle: '5s' };

/** A redis, and gateways by `start()`, all with these sinks. */
async function setUp(t, sinks) {
  const folder = makeFolder();
  const file = join(folder, 'sluice.yml');
  const redis = await startRedis();
  const gateways = [];
  t.after(async () => {
    try {
      for (const gateway of gateways) await gateway.stop();
    } finally {
      await redis.stop();
      removeFolder(folder);
    }
  });
  writeFileSync(file, JSON.stringify({ sinks })); // JSON is YAML
  const start = async (options = {}) => {
    const gateway = await startGateway({ redis, ...options, flags: ['--config', file, ...(options.flags ?? [])] });
    gateways.push(gateway);
    return gateway;
  };
  /** Ends one by force; it is not looked at afterwards. */
  const kill = async (gateway) => {
    gateways.splice(gateways.indexOf(gateway), 1);
    gateway.process.kill('SIGKILL');
    await gateway.process.ends();
  };
  return { redis, file, folder, start, kill };
}

async function pending(redis, stream, group) {
  return (await redis.command('XPENDING', stream, group))[0];
}

/** The entries of a stream as [id, {field: value}]. */
async function entries(redis, stream) {
  const rows = await redis.command('XRANGE', stream, '-', '+');
  return rows.map(([id, fields]) => [id, Object.fromEntries(fields.flatMap((name, i) => (i % 2 ? [] : [[name, fields[i + 1]]])))]);
}

const metricOf = (gateway, family, labels) => gateway.metric(`sluice_webhook_${family}{${labels}}`);

test('an entry is posted as JSON with its names, signed, and acknowledged', async (t) => {
  const receiver = await startReceiver(t);
  const secret = Buffer.from('a key of some twenty-four bytes');
  const { redis, start } = await setUp(t, [
    {
      ...QUICK, name: 'crm', stream: 'events:sale_closed', url: receiver.url, secret: `whsec_${secret.toString('base64')}`,
      headers: { Authorization: 'Bearer 1:2', 'X-Own': 'äö' },
    },
  ]);
  const gateway = await start();
  const id = await redis.command('XADD', 'events:sale_closed', '*', 'customer', 'Ümit', 'lines', '[1,2]', 'price', '12');
  const { headers, body, path } = await receiver.request();
  assert.equal(path, '/hook');
  assert.deepEqual(JSON.parse(body), { customer: 'Ümit', lines: [1, 2], price: '12' });
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers['webhook-id'], `crm-${id}`);
  assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 10);
  const signed = createHmac('sha256', secret).update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`);
  assert.equal(headers['webhook-signature'], `v1,${signed.digest('base64')}`);
  assert.equal(headers['sluice-sink'], 'crm');
  assert.equal(headers['sluice-stream'], 'events:sale_closed');
  assert.equal(headers['sluice-event'], 'sale_closed');
  assert.equal(headers['sluice-attempt'], '1');
  assert.equal(headers.authorization, 'Bearer 1:2');
  assert.equal(headers.expect, undefined);
  await until('nothing is pending', async () => (await pending(redis, 'events:sale_closed', 'sink:crm')) === 0);
  assert.equal(receiver.requests.length, 1);
  assert.equal(await metricOf(gateway, 'deliveries_total', 'sink="crm",result="delivered"'), 1);
  assert.equal(await metricOf(gateway, 'attempts_total', 'sink="crm",result="accepted"'), 1);
  assert.equal(await metricOf(gateway, 'held', 'sink="crm"'), 0);
  assert.equal(await metricOf(gateway, 'duration_seconds_count', 'sink="crm"'), 1);
  const { sinks } = (await gateway.get('/metrics', { accept: 'application/json' })).json();
  assert.equal(sinks[0].delivered, 1);
  const { text } = await gateway.get('/metrics');
  const { output } = await runProcess('promtool', ['check', 'metrics'], { input: text });
  assert.equal(output, '');
});

test('keys from a file, several while they change; a Content-Type and a group of its own', async (t) => {
  const receiver = await startReceiver(t);
  const folder = makeFolder();
  t.after(() => removeFolder(folder));
  const keyFile = join(folder, 'key');
  writeFileSync(keyFile, 'the-new-key-of-the-sink\nthe-old-key-of-the-sink\n');
  const { redis, start } = await setUp(t, [
    {
      ...QUICK, name: 'two', stream: 's', url: receiver.url, secret_file: keyFile, group: 'mine',
      headers: { 'content-type': 'application/vnd.own+json' },
    },
  ]);
  await start();
  await redis.command('XADD', 's', '*', 'event', 'from a field', 'a', 'b');
  const { headers, body } = await receiver.request();
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const sign = (key) => `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
  assert.equal(headers['webhook-signature'], `${sign('the-new-key-of-the-sink')} ${sign('the-old-key-of-the-sink')}`);
  assert.equal(headers['content-type'], 'application/vnd.own+json');
  assert.equal(headers['sluice-event'], 'from%20a%20field');
  await until('nothing is pending', async () => (await pending(redis, 's', 'mine')) === 0);
});

test('a refusal makes a dead letter at once, with the reason', async (t) => {
  const receiver = await startReceiver(t, ({ body }) =>
    JSON.parse(body).n === '2' ? { status: 400, text: 'invalid_payload\n' } : 204);
  const { redis, start } = await setUp(t, [{ ...QUICK, name: 'slack', stream: 's', url: receiver.url }]);
  const gateway = await start();
  const ids = [];
  for (const n of [1, 2, 3]) ids.push(await redis.command('XADD', 's', '*', 'n', n));
  await until('a dead letter', () => redis.command('XLEN', 's:dead'));
  await until('nothing is pending', async () => (await pending(redis, 's', 'sink:slack')) === 0);
  const [[, letter]] = await entries(redis, 's:dead');
  assert.equal(letter.n, '2');
  assert.equal(letter['dead:reason'], 'HTTP 400: invalid_payload');
  assert.equal(letter['dead:id'], ids[1]);
  assert.equal(letter['dead:group'], 'sink:slack');
  assert.equal(letter['dead:deliveries'], '1');
  assert.equal(receiver.requests.length, 3);
  assert.equal(await metricOf(gateway, 'deliveries_total', 'sink="slack",result="dead"'), 1);
});

test('failures are tried again: 500, 429, reset connections, hanging and nobody there', async (t) => {
  const bad = [500, 503, 408, 425, 429, { status: 302, headers: { location: '/other' } }, { reset: true }, { hang: true }];
  const receiver = await startReceiver(t, () => bad.shift() ?? 200);
  const { redis, start } = await setUp(t, [
    { ...QUICK, name: 'w', stream: 's', url: receiver.url, timeout: '300ms', retries: 20, concurrency: 1 },
  ]);
  const gateway = await start();
  await redis.command('XADD', 's', '*', 'n', 1);
  await until('nothing is pending', async () => receiver.accepted.size === 1 && (await pending(redis, 's', 'sink:w')) === 0);
  // libcurl itself repeats what a reset ended on a connection that was kept alive, so that is the same attempt.
  const attempts = receiver.requests.map(({ headers }) => headers['sluice-attempt']);
  assert.deepEqual([...new Set(attempts)], ['1', '2', '3', '4', '5', '6', '7', '8']);
  assert.equal(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size, 1);
  assert.equal(await metricOf(gateway, 'attempts_total', 'sink="w",result="failed"'), 7);

  const { port } = receiver.server.address();
  await receiver.stop();
  await redis.command('XADD', 's', '*', 'n', 2);
  await until('a failure', async () => (await metricOf(gateway, 'attempts_total', 'sink="w",result="failed"')) >= 9);
  const again = await startReceiver(t, () => 200, port);
  assert.equal(JSON.parse((await again.request()).body).n, '2');
});

test('out of retries an entry is given back, and after max_deliveries it is a dead letter', async (t) => {
  const receiver = await startReceiver(t, () => ({ status: 503, text: 'try later' }));
  const { redis, start } = await setUp(t, [
    { ...QUICK, name: 'w', stream: 's', url: receiver.url, retries: 1, max_deliveries: 3 },
  ]);
  const gateway = await start();
  await redis.command('XADD', 's', '*', 'n', 1);
  await until('a dead letter', () => redis.command('XLEN', 's:dead'));
  const [[, letter]] = await entries(redis, 's:dead');
  assert.equal(letter['dead:reason'], 'HTTP 503: try later');
  assert.equal(letter['dead:deliveries'], '3');
  assert.equal(receiver.requests.length, 6);
  assert.deepEqual(receiver.requests.map(({ headers }) => headers['sluice-attempt']), ['1', '2', '3', '4', '5', '6']);
  assert.equal(await pending(redis, 's', 'sink:w'), 0);
  assert.equal(await metricOf(gateway, 'deliveries_total', 'sink="w",result="returned"'), 2);
});

test('Retry-After makes the whole sink pause', async (t) => {
  const receiver = await startReceiver(t, (request, { requests }) =>
    requests.length === 1 ? { status: 429, headers: { 'retry-after': '1' } } : 200);
  const { redis, start } = await setUp(t, [{ ...QUICK, name: 'w', stream: 's', url: receiver.url }]);
  await start();
  await redis.command('XADD', 's', '*', 'n', 1);
  await receiver.request();
  await redis.command('XADD', 's', '*', 'n', 2);
  const { at } = await receiver.request(2);
  assert.ok(at - receiver.requests[0].at >= 990, `after ${at - receiver.requests[0].at} ms`);
  await until('both are accepted', () => receiver.accepted.size === 2);
});

test('no more than `concurrency` requests at a time; one at a time keeps the order', async (t) => {
  const many = await startReceiver(t, () => ({ status: 200, delay: 20 }));
  const single = await startReceiver(t, (request, { requests }) => (requests.length % 5 === 3 ? 500 : 200));
  const { redis, start } = await setUp(t, [
    { ...QUICK, name: 'many', stream: 's', url: many.url, concurrency: 3 },
    { ...QUICK, name: 'single', stream: 's', url: single.url, concurrency: 1 },
  ]);
  await start();
  const ids = [];
  for (let n = 0; n < 60; n++) ids.push(await redis.command('XADD', 's', '*', 'n', n));
  await until('all are accepted', () => many.accepted.size === 60 && single.accepted.size === 60, 20000);
  assert.equal(many.openMax, 3);
  assert.equal(single.openMax, 1);
  assert.deepEqual([...single.accepted.keys()], ids.map((id) => `single-${id}`));
});

test('a channel is posted by one of several gateways, and by another when that one ends', async (t) => {
  const receiver = await startReceiver(t, ({ body }) => (body === '"refuse"' ? 400 : 200));
  const { redis, start } = await setUp(t, [{ ...QUICK, name: 'chat', channel: 'live:news', url: receiver.url }]);
  const first = await start({ flags: ['--subscription-linger', '20ms'] });
  await until('a lease', () => redis.command('GET', 'sluice:sink:chat'));
  const second = await start();
  await until('two subscriptions', async () => (await redis.subscriptions('live:news')) === 2);
  await redis.publish('live:news', '{"a": 1}');
  await redis.publish('live:news', 'no JSON');
  await redis.publish('live:news', 'refuse');
  await receiver.request(3);
  assert.deepEqual(receiver.requests.map(({ body }) => body).sort(), ['"no JSON"', '"refuse"', '{"a": 1}']);
  const { headers } = receiver.requests[0];
  assert.match(headers['webhook-id'], /^chat-[0-9a-f]{16}$/);
  assert.equal(headers['sluice-channel'], 'live:news');
  assert.equal(headers['sluice-event'], 'news');
  await until('all are counted', async () => (await metricOf(first, 'deliveries_total', 'sink="chat",result="dropped"')) === 1);
  assert.equal(await metricOf(first, 'deliveries_total', 'sink="chat",result="delivered"'), 2);
  assert.equal(await metricOf(second, 'attempts_total', 'sink="chat",result="accepted"'), 0);

  // Clients of the same channel come and go without taking it from the sink.
  for (let round = 0; round < 3; round++) {
    const stream = await first.stream('/events/stream?channel=live:news');
    await stream.seesRetry();
    await until('the client is told', async () => {
      await redis.publish('live:news', '"for both"');
      return stream.events.length > 0;
    });
    await stream.close();
    await until('nobody is left', async () => (await first.metric('sluice_sse_clients')) === 0);
    assert.equal(await first.metric('sluice_redis_subscriptions'), 1, 'that of the sink');
    const before = receiver.requests.length;
    await redis.publish('live:news', '"without clients"');
    await receiver.request(before + 1);
  }

  await first.stop();
  await until('the other one posts', async () => {
    await redis.publish('live:news', '"handed over"');
    return receiver.requests.some(({ body }) => body === '"handed over"');
  });
});

test('a full queue of a channel drops, and counts', async (t) => {
  const receiver = await startReceiver(t, () => ({ hang: true }));
  const { redis, start } = await setUp(t, [
    { ...QUICK, name: 'chat', channel: 'c', url: receiver.url, queue: 5, concurrency: 1, timeout: '10s' },
  ]);
  const gateway = await start();
  await until('a lease', () => redis.command('GET', 'sluice:sink:chat'));
  for (let n = 0; n < 8; n++) await redis.publish('c', n);
  await until('three are dropped', async () => (await metricOf(gateway, 'deliveries_total', 'sink="chat",result="dropped"')) === 3);
  assert.equal(await metricOf(gateway, 'held', 'sink="chat"'), 5);
});


test('at the end what is being sent is finished, and the rest is for the next one', async (t) => {
  const receiver = await startReceiver(t, (request, { requests }) => (requests.length <= 2 ? { status: 200, delay: 300 } : 200));
  const { redis, start } = await setUp(t, [{ ...QUICK, name: 'w', stream: 's', url: receiver.url, concurrency: 2 }]);
  const first = await start({ flags: ['--drain-timeout', '5s'] });
  for (let n = 0; n < 6; n++) await redis.command('XADD', 's', '*', 'n', n);
  await receiver.request(2);
  await first.stop();
  assert.equal(receiver.requests.length, 2);
  assert.equal(receiver.accepted.size, 2);
  assert.doesNotMatch(first.log, /cut off/);
  await start();
  await until('the rest has arrived', () => receiver.accepted.size === 6);
  assert.equal(receiver.requests.length, 6);
});

test('at the end it waits until Redis knows what was given back', async (t) => {
  const receiver = await startReceiver(t, () => 500);
  const { redis, start } = await setUp(t, [{ ...QUICK, name: 'w', stream: 's', url: receiver.url, backoff: '1m', backoff_max: '1m' }]);
  const proxy = await startFaultProxy(t, redis.socket);
  const gateway = await start({ redis: proxy });
  await redis.command('XADD', 's', '*', 'n', 1);
  await receiver.request();
  proxy.delay(100, { to: 'gateway' });
  await gateway.stop();
  const returned = await redis.command('XPENDING', 's', 'sink:w', 'IDLE', 1000000, '-', '+', 10);
  assert.equal(returned.length, 1, JSON.stringify(await redis.command('XPENDING', 's', 'sink:w', '-', '+', 10)));
});

test('nothing is lost with a receiver that fails at random, two gateways, and one of them killed', async (t) => {
  const random = () => {
    const dice = Math.random();
    if (dice < 0.1) return 500;
    if (dice < 0.13) return { reset: true };
    if (dice < 0.132) return { hang: true };
    if (dice < 0.2) return { status: 200, delay: 30 };
    if (dice < 0.202) return { status: 429, headers: { 'retry-after': '0' } };
    return 200;
  };
  const receiver = await startReceiver(t, random);
  const { redis, start, kill } = await setUp(t, [
    { ...QUICK, name: 'sure', stream: 's', url: receiver.url, timeout: '500ms', concurrency: 10, retries: 8, max_deliveries: 10 },
  ]);
  const [first, second] = await Promise.all([start(), start()]);
  const ids = [];
  const add = async (count) => {
    const added = Array.from({ length: count }, () => redis.command('XADD', 's', '*', 'n', ids.length));
    ids.push(...(await Promise.all(added)));
  };
  while (ids.length < ENTRIES / 2) await add(100);
  await until('a quarter has arrived', () => receiver.accepted.size >= ENTRIES / 4, 60000);
  for (const gateway of [first, second])
    assert.ok((await metricOf(gateway, 'deliveries_total', 'sink="sure",result="delivered"')) > 0, 'both take part');
  await kill(first);
  while (ids.length < ENTRIES) await add(100);
  await until('everything has arrived', () => receiver.accepted.size >= ids.length, 120000);
  assert.deepEqual([...receiver.accepted.keys()].sort(), ids.map((id) => `sure-${id}`).sort());
  await until('nothing is pending', async () => (await pending(redis, 's', 'sink:sure')) === 0, 20000);
  assert.equal(await redis.command('XLEN', 's:dead'), 0);
  const twice = [...receiver.accepted.values()].filter((count) => count > 1).length;
  t.diagnostic(`${ids.length} entries, ${receiver.requests.length} attempts, ${twice} accepted more than once`);
  assert.ok(twice <= ENTRIES / 20, `${twice} were delivered more than once`);
});

test('an entry that fails does not hold up the others', async (t) => {
  const receiver = await startReceiver(t, ({ body }) => (JSON.parse(body).n === '0' ? 500 : 200));
  const { redis, start } = await setUp(t, [
    { ...QUICK, name: 'w', stream: 's', url: receiver.url, concurrency: 2, backoff: '30s', backoff_max: '30s' },
  ]);
  await start();
  for (let n = 0; n < 20; n++) await redis.command('XADD', 's', '*', 'n', n);
  await until('the others have arrived', () => receiver.accepted.size === 19);
  assert.equal(await pending(redis, 's', 'sink:w'), 1);
});

test('an acknowledgement that redis did not answer is repeated', async (t) => {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  const receiver = await startReceiver(t, () => ({ status: 200, when: released }));
  const { redis, start } = await setUp(t, [{ ...QUICK, name: 'w', stream: 's', url: receiver.url, timeout: '60s', idle: '1m' }]);
  const gateway = await start({ flags: ['--redis-timeout', '300ms'] });
  await redis.command('XADD', 's', '*', 'n', 1);
  await receiver.request();
  redis.process.kill('SIGSTOP');
  release();
  await gateway.process.sees(/redis link down/i);
  await until('it was delivered', async () => (await metricOf(gateway, 'deliveries_total', 'sink="w",result="delivered"')) === 1);
  redis.process.kill('SIGCONT');
  await until('nothing is pending', async () => (await pending(redis, 's', 'sink:w')) === 0);
  await until('nothing is held', async () => (await metricOf(gateway, 'held', 'sink="w"')) === 0);
  assert.equal(receiver.requests.length, 1);
});

test('a key that is no stream is told; a killed gateway loses the lease of its channels', async (t) => {
  const receiver = await startReceiver(t);
  const { redis, start, kill } = await setUp(t, [
    { ...QUICK, name: 'w', stream: 's', url: receiver.url }, { ...QUICK, name: 'chat', channel: 'c', url: receiver.url },
  ]);
  await redis.command('SET', 's', 'text');
  const first = await start();
  await first.process.sees(/a sink's key is no stream .*sink=w/);
  await until('a lease', () => redis.command('GET', 'sluice:sink:chat'));
  const second = await start();
  await kill(first);
  await redis.command('DEL', 's');
  const id = await redis.command('XADD', 's', '*', 'n', 1);
  await until('the entry', () => receiver.accepted.has(`w-${id}`), 10000);
  await until('another one posts for the channel', async () => {
    await redis.publish('c', '1');
    return (await metricOf(second, 'deliveries_total', 'sink="chat",result="delivered"')) > 0;
  }, 10000);
});

test('a channel that redis refused is asked for again, once its ACL may have changed', async (t) => {
  const receiver = await startReceiver(t);
  const { redis, start } = await setUp(t, [{ name: 'chat', channel: 'news', url: receiver.url }]);
  await redis.command('ACL', 'SETUSER', 'narrow', 'on', '>pw', '~*', '+@all', 'resetchannels', '&sluice:fence:*');
  const gateway = await start({ flags: ['--redis-url', redis.url.replace(/:\/\/([^@]*@)?/, '://narrow:pw@')] });
  await until('it is refused', () => gateway.log.includes('redis refuses the channel of a sink'));
  await redis.command('ACL', 'SETUSER', 'narrow', '&*');
  await until('it listens', async () => (await redis.command('PUBSUB', 'NUMSUB', 'news'))[1] === 1, 8000);
  await until('it hears of revocations', async () => (await redis.command('PUBSUB', 'NUMSUB', 'sluice:control'))[1] === 1, 8000);
  await redis.command('PUBLISH', 'news', '{"a":1}');
  assert.equal((await receiver.request()).body, '{"a":1}');
});

test('while redis is away sinks wait, and go on', async (t) => {
  const receiver = await startReceiver(t);
  const { redis, start } = await setUp(t, [{ ...QUICK, name: 'w', stream: 's', url: receiver.url }]);
  await start();
  await redis.command('XADD', 's', '*', 'n', 1);
  await receiver.request();
  await redis.restart();
  await redis.command('XADD', 's', '*', 'n', 2);
  assert.equal(JSON.parse((await receiver.request(2)).body).n, '2');
});

test('secrets stay out of --check and the log; a reload says that sinks need a restart', async (t) => {
  const secret = 'such-a-secret-key-as-this';
  const port = await freePort();
  const sink = {
    ...QUICK, name: 'w', stream: 's', url: `http://user:pass-word@127.0.0.1:${port}/services/hidden-path?token=hidden-query`, secret,
    headers: { Authorization: 'Bearer hidden-token' }, retries: 0, max_deliveries: 1,
  };
  const { redis, start, file } = await setUp(t, [sink]);
  const checked = await sluice(['--check', '--config', file]);
  assert.equal(checked.code, 0, checked.output);
  const gateway = await start({ flags: ['--log-level', 'debug'] });
  await redis.command('XADD', 's', '*', 'n', 1);
  await until('a dead letter', () => redis.command('XLEN', 's:dead'));
  const from = gateway.log.length;
  writeFileSync(file, JSON.stringify({ sinks: [{ ...sink, retries: 3 }] }));
  gateway.reload();
  await gateway.process.sees(/sinks/, { from });
  for (const text of [checked.output, gateway.log])
    for (const hidden of [secret, 'pass-word', 'hidden-path', 'hidden-query', 'hidden-token'])
      assert.ok(!text.includes(hidden), `${hidden} in:\n${text}`);
  const [[, letter]] = await entries(redis, 's:dead');
  assert.doesNotMatch(letter['dead:reason'], /hidden|pass-word/);
});

test('sinks that make no sense are told with file and line', async (t) => {
  const folder = makeFolder();
  t.after(() => removeFolder(folder));
  const file = join(folder, 'sluice.yml');
  writeFileSync(file, 'sinks:\n  - {name: "a b", url: "ftp://x"}\n  - {name: c, stream: s, channel: t, url: "http://x"}\n  - {name: d, stream: s}\n');
  const { code, output } = await sluice(['--check', '--config', file]);
  assert.notEqual(code, 0);
  for (const expected of [/:2: name cannot be "a b"/, /:2: url cannot be this/, /:3: .*not both/, /:4: .*needs a url/])
    assert.match(output, expected);
});
