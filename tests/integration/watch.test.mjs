// Streams seen from outside: GET /streams, the metrics, `sluice streams`, and the alert rules.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT, sluice, startGateway, startPair } from '../support/gateway.mjs';
import { freePort, makeFolder, removeFolder, runProcess } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

const add = async (redis, stream, count) => {
  const ids = [];
  for (let n = 1; n <= count; n++) ids.push(await redis.command('XADD', stream, '*', 'n', n));
  return ids;
};

const take = (redis, stream, group, consumer, count) =>
  redis.command('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', stream, '>');

const groupOf = (report, name) => report.groups.find((group) => group.name === name);

describe('GET /streams/<name>', () => {
  test('says what Redis knows of any stream', async (t) => {
    const { redis, gateway } = await startPair(t);
    const ids = await add(redis, 'orders', 5);
    await redis.command('XGROUP', 'CREATE', 'orders', 'billing', '0');
    await redis.command('XGROUP', 'CREATE', 'orders', 'mail', '$');
    await take(redis, 'orders', 'billing', 'w1', 2);
    await take(redis, 'orders', 'billing', 'w2', 1);
    await redis.command('XACK', 'orders', 'billing', ids[0]);

    const { status, headers, ...response } = await gateway.get('/streams/orders');
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^application\/json/);
    assert.equal(headers['cache-control'], 'no-store');
    const report = response.json();
    assert.equal(report.name, 'orders');
    assert.equal(report.length, 5);
    assert.equal(report.firstId, ids[0]);
    assert.equal(report.lastId, ids[4]);
    assert.equal(report.bytes, await redis.command('MEMORY', 'USAGE', 'orders', 'SAMPLES', 5));
    const billing = groupOf(report, 'billing');
    assert.equal(billing.pending, 2);
    assert.equal(billing.lag, 2);
    assert.equal(billing.lastDeliveredId, ids[2]);
    assert.ok(billing.oldestPendingSeconds >= 0 && billing.oldestPendingSeconds < 10);
    assert.equal(billing.consumerCount, 2);
    assert.deepEqual(billing.consumers.map(({ name, pending }) => ({ name, pending })), [{ name: 'w1', pending: 1 }, { name: 'w2', pending: 1 }]);
    assert.ok(billing.consumers.every(({ idleSeconds }) => idleSeconds >= 0 && idleSeconds < 10));
    const mail = groupOf(report, 'mail');
    assert.deepEqual({ ...mail, consumers: undefined }, { ...mail, pending: 0, oldestPendingSeconds: null, lag: 0, consumerCount: 0, consumers: undefined });
  });

  test('every path of the contract, HEAD, and no other method', async (t) => {
    const { redis, gateway } = await startPair(t);
    await add(redis, 'a/b', 1);
    for (const path of ['/streams/a%2Fb', '/api/streams/a%2Fb', '/api/v1/streams/a%2Fb'])
      assert.equal((await gateway.get(path)).json().name, 'a/b');
    const head = await gateway.request('HEAD', '/streams/a%2Fb');
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    const refused = await gateway.request('DELETE', '/streams/a%2Fb');
    assert.equal(refused.status, 405);
    assert.equal(refused.headers.allow, 'GET, HEAD, OPTIONS');
    assert.ok((await gateway.metric('sluice_http_requests_total{route="/streams/{name}",code="200"}')) >= 4);
  });

  test('no such key, a key of another type, a name that is none', async (t) => {
    const { redis, gateway } = await startPair(t);
    await redis.command('SET', 'text', 'x');
    assert.equal((await gateway.get('/streams/nothing')).status, 404);
    const wrong = await gateway.get('/streams/text');
    assert.equal(wrong.status, 422);
    assert.match(wrong.json().detail, /something else than a stream/);
    assert.equal((await gateway.get(`/streams/${'x'.repeat(513)}`)).status, 400);
    assert.match(wrong.headers['content-type'], /problem\+json/);
  });

  test('an empty stream, and names with anything in them', async (t) => {
    const { redis, gateway } = await startPair(t);
    await redis.command('XGROUP', 'CREATE', 'empty', Buffer.from([0x67, 0xff, 0x22, 0x0a]), '0', 'MKSTREAM');
    const report = (await gateway.get('/streams/empty')).json();
    assert.equal(report.length, 0);
    assert.equal(report.firstId, null);
    assert.equal(report.lastId, null);
    assert.equal(report.groups[0].name, 'g\ufffd"\n');
    assert.equal(report.groups[0].lag, 0);
    assert.equal(report.groups[0].lastDeliveredId, null);
  });

  test('lag is never what XTRIM and XDEL make of it', async (t) => {
    const { redis, gateway } = await startPair(t);
    const lag = async (group) => groupOf((await gateway.get('/streams/s')).json(), group).lag;
    const ids = await add(redis, 's', 10);
    await redis.command('XGROUP', 'CREATE', 's', 'g', '0');
    assert.equal(await lag('g'), 10);
    await redis.command('XTRIM', 's', 'MAXLEN', '=', 4);
    assert.equal(await lag('g'), 4); // Redis 7.0 goes on saying 10
    await take(redis, 's', 'g', 'c', 1);
    const known = await lag('g');
    assert.ok(known === null || known === 3, `lag ${known}`); // and now 9
    await take(redis, 's', 'g', 'c', 10);
    assert.equal(await lag('g'), 0);

    await redis.command('XGROUP', 'CREATE', 's', 'middle', ids[7]);
    const middle = await lag('middle');
    assert.ok(middle === null || middle === 2, `lag ${middle}`);
    await redis.command('XGROUP', 'CREATE', 's', 'deleted', '0');
    await redis.command('XDEL', 's', ids[8]);
    const deleted = await lag('deleted');
    assert.equal(deleted, 3);
  });

  test('the oldest pending entry ages, by its delivery or, delivered again, since it was added', async (t) => {
    const { redis, gateway } = await startPair(t);
    const oldest = async () => groupOf((await gateway.get('/streams/s')).json(), 'g').oldestPendingSeconds;
    const hourAgo = `${Date.now() - 3_600_000}-0`;
    await redis.command('XGROUP', 'CREATE', 's', 'g', '0', 'MKSTREAM');
    await redis.command('XADD', 's', hourAgo, 'a', 1);
    await take(redis, 's', 'g', 'c', 1);
    assert.ok((await oldest()) < 60, 'it was delivered just now');
    await redis.command('XCLAIM', 's', 'g', 'd', 0, hourAgo, 'IDLE', 400_000, 'RETRYCOUNT', 1);
    assert.ok((await oldest()) >= 400);
    await redis.command('XCLAIM', 's', 'g', 'd', 0, hourAgo);
    const age = await oldest();
    assert.ok(age >= 3600 && age < 3700, `${age}`);
    await redis.command('XACK', 's', 'g', hourAgo);
    assert.equal(await oldest(), null);
  });

  test('Redis is away: 503, and the gateway goes on', async (t) => {
    const { redis, gateway } = await startPair(t, { flags: ['--streams', 'a'] });
    await redis.kill();
    await until('not ready', async () => (await gateway.get('/readyz')).status === 503);
    for (const path of ['/streams', '/streams/a']) {
      const response = await gateway.get(path);
      assert.equal(response.status, 503);
      assert.ok(response.headers['retry-after']);
    }
    await redis.start();
    await gateway.ready();
    assert.equal((await gateway.get('/streams')).status, 200);
  });
});

describe('GET /streams', () => {
  test('all that are configured, as they are now', async (t) => {
    const { redis, gateway } = await startPair(t, { flags: ['--streams', 'orders,missing,text'] });
    await redis.command('SET', 'text', 'x');
    for (let length = 1; length <= 3; length++) {
      await add(redis, 'orders', 1);
      const { streams } = (await gateway.get('/streams')).json();
      assert.deepEqual(streams.map(({ name }) => name), ['orders', 'missing', 'text']);
      assert.equal(streams[0].length, length);
      assert.deepEqual(streams[1], { name: 'missing', exists: false, length: 0, firstId: null, lastId: null, bytes: 0, groups: [] });
      assert.match(streams[2].problem, /something else/);
    }
  });

  test('nothing is configured: an empty list, and no series', async (t) => {
    const { gateway } = await startPair(t);
    assert.deepEqual((await gateway.get('/streams')).json(), { streams: [] });
    assert.doesNotMatch((await gateway.get('/metrics')).text, /sluice_stream_length/);
    assert.deepEqual((await gateway.get('/metrics', { accept: 'application/json' })).json().streams, []);
  });

  test('many who ask at once cost Redis little', async (t) => {
    const names = Array.from({ length: 40 }, (_, n) => `s${n}`);
    const { redis, gateway } = await startPair(t, { flags: ['--streams', names.join(',')] });
    await add(redis, 's39', 2);
    const before = await gateway.metric('sluice_redis_commands_total');
    const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.get('/streams')));
    for (const answer of answers) assert.equal(answer.json().streams[39].length, 2);
    const asked = (await gateway.metric('sluice_redis_commands_total')) - before;
    // Each thread asks for itself.
    const rounds = 8 + 2 * (await gateway.metric('sluice_workers'));
    assert.ok(asked < rounds * 40 * 5, `${asked} commands for 50 requests`);
  });
});

test('an entry larger than a reply may be costs no connection', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const id = await redis.command('XADD', 'large', '*', 'n', 'x'.repeat(100000));
  const gateway = await startGateway({ redis, flags: ['--streams', 'large', '--redis-reply-bytes-max', '64KiB'] });
  t.after(() => gateway.stop());
  const { status, text } = await gateway.get('/streams/large');
  assert.equal(status, 200, text);
  assert.equal(JSON.parse(text).firstId, id);
  await until('it is in the metrics', async () => (await gateway.metric('sluice_stream_length{stream="large"}')) === 1);
  assert.doesNotMatch(gateway.log, /redis link down/);
});

test('publishing trims a stream to what its setting says, unless the request says it', async (t) => {
  const folder = makeFolder();
  const redis = await startRedis({ args: ['--stream-node-max-entries', '1'] }); // so that about is exactly
  t.after(async () => {
    await redis.stop();
    removeFolder(folder);
  });
  const config = join(folder, 'sluice.yml');
  writeFileSync(config, 'stream_maxlen: 20\nstreams: [{name: short, maxlen: 3}, {name: "events:sale", maxlen: 2}, other]\n');
  const gateway = await startGateway({ redis, flags: ['--config', config] });
  t.after(() => gateway.stop());
  const lengthAfter = async (count, event, stream) => {
    const { status } = await gateway.publish(Array.from({ length: count }, (_, n) => ({ ...event, payload: { n } })));
    assert.equal(status, 200);
    return redis.command('XLEN', stream);
  };
  assert.equal(await lengthAfter(10, { stream: 'short' }, 'short'), 3);
  assert.equal(await lengthAfter(10, { event: 'sale', critical: true }, 'events:sale'), 2);
  assert.equal(await lengthAfter(30, { stream: 'other' }, 'other'), 20);
  assert.equal(await lengthAfter(10, { stream: 'short', maxlen: 7 }, 'short'), 7);
});

describe('the metrics of streams', () => {
  test('are refreshed, and promtool has nothing to say', async (t) => {
    const folder = makeFolder();
    t.after(() => removeFolder(folder));
    const redis = await startRedis();
    t.after(() => redis.stop());
    const config = join(folder, 'sluice.yml');
    writeFileSync(config, 'streams:\n  - name: "odd\\"\\\\name"\n  - name: orders\n    groups: [billing, absent]\n');
    await redis.command('XGROUP', 'CREATE', 'orders', 'billing', '0', 'MKSTREAM');
    await redis.command('XGROUP', 'CREATE', 'orders', Buffer.from([0xff]), '0');
    await redis.command('XGROUP', 'CREATE', 'orders', Buffer.from([0xfe]), '0');
    await add(redis, 'orders', 5);
    await add(redis, 'odd"\\name', 1);
    await take(redis, 'orders', 'billing', 'w', 2);
    const gateway = await startGateway({ redis, flags: ['--config', config] });
    t.after(() => gateway.stop());

    const labels = '{stream="orders",group="billing"}';
    await until('figures of streams', async () => (await gateway.metric('sluice_stream_length{stream="orders"}')) === 5);
    assert.equal(await gateway.metric('sluice_stream_length{stream="odd\\"\\\\name"}'), 1);
    assert.equal(await gateway.metric(`sluice_stream_pending${labels}`), 2);
    assert.equal(await gateway.metric(`sluice_stream_lag${labels}`), 3);
    assert.equal(await gateway.metric(`sluice_stream_consumers${labels}`), 1);
    assert.ok((await gateway.metric(`sluice_stream_oldest_pending_seconds${labels}`)) < 60);
    assert.equal(await gateway.metric('sluice_stream_consumers{stream="orders",group="absent"}'), 0, 'a group that should be there has no consumer');

    const { text } = await gateway.get('/metrics');
    const { code, output } = await runProcess('promtool', ['check', 'metrics'], { input: text });
    assert.equal(output, '');
    assert.equal(code, 0);
    const [odd, orders] = (await gateway.get('/metrics', { accept: 'application/json' })).json().streams;
    assert.equal(odd.name, 'odd"\\name');
    assert.equal(groupOf(orders, 'billing').lag, 3);

    await take(redis, 'orders', 'billing', 'w', 3);
    await until('the lag is gone', async () => (await gateway.metric(`sluice_stream_lag${labels}`)) === 0, 8000);
    await redis.command('XGROUP', 'CREATE', 'orders', 'middle', (await redis.command('XRANGE', 'orders', '-', '+'))[1][0]);
    await gateway.get('/streams');
    const unknown = await gateway.metric('sluice_stream_lag{stream="orders",group="middle"}');
    assert.ok(unknown === undefined || unknown === 3, 'absent where nobody knows');
  });
});

describe('sluice streams', () => {
  /** A Redis and a settings file: run(...words) is `sluice streams words… --config file`. */
  async function prepare(t, streams = 'streams:\n  - emails\n  - name: orders\n    groups: [billing, mail]\n') {
    const folder = makeFolder();
    const redis = await startRedis();
    t.after(async () => {
      await redis.stop();
      removeFolder(folder);
    });
    const config = join(folder, 'sluice.yml');
    writeFileSync(config, `redis_url: ${redis.url}\n${streams}`);
    return { redis, run: (...words) => sluice(['streams', ...words, '--config', config]) };
  }

  test('setup makes what is missing, once', async (t) => {
    const { redis, run } = await prepare(t);
    const first = await run('setup');
    assert.equal(first.code, 0, first.output);
    assert.match(first.stdout, /^emails: stream made$/m);
    assert.match(first.stdout, /^orders: group billing made/m);
    assert.equal(await redis.command('TYPE', 'emails'), 'stream');
    assert.deepEqual(await redis.command('XINFO', 'GROUPS', 'emails'), []);
    const groups = () => redis.command('XINFO', 'GROUPS', 'orders');
    assert.equal((await groups()).length, 2);

    const [id] = await add(redis, 'orders', 3);
    await take(redis, 'orders', 'billing', 'w', 1);
    const before = await groups();
    const second = await run('setup');
    assert.equal(second.code, 0);
    assert.match(second.stdout, /^orders: stream is there, 3 entries$/m);
    assert.match(second.stdout, /^orders: group billing is there$/m);
    assert.doesNotMatch(second.stdout, /made/);
    assert.deepEqual(await groups(), before);
    assert.equal((await redis.command('XRANGE', 'orders', '-', '+'))[0][0], id);
  });

  test('setup does not touch a key that is no stream', async (t) => {
    const { redis, run } = await prepare(t);
    await redis.command('SET', 'emails', 'x');
    const { code, output } = await run('setup');
    assert.equal(code, 1);
    assert.match(output, /emails holds something else than a stream/);
    assert.match(output, /orders: stream made/);
    assert.equal(await redis.command('GET', 'emails'), 'x');
  });

  test('status as a table and as JSON', async (t) => {
    const { redis, run } = await prepare(t);
    await run('setup');
    await add(redis, 'orders', 5);
    await take(redis, 'orders', 'billing', 'w', 2);
    const table = await run('status');
    assert.equal(table.code, 0, table.output);
    assert.match(table.stdout, /^STREAM +LENGTH +MEMORY +GROUP +CONSUMERS +PENDING +OLDEST +LAG$/m);
    assert.match(table.stdout, /^orders +5 +\S+ \S+ +billing +1 +2 +\d+s +3$/m);
    assert.match(table.stdout, /^ +mail +0 +0 +- +5$/m);
    assert.match(table.stdout, /^emails +0 .*no group$/m);

    const { stdout } = await run('status', '--json');
    const { streams } = JSON.parse(stdout);
    assert.equal(groupOf(streams[1], 'billing').pending, 2);

    const named = await run('status', 'orders', 'nothing');
    assert.equal(named.code, 1);
    assert.match(named.stdout, /^nothing +is not there/m);
  });

  test('trim, exactly', async (t) => {
    const { redis, run } = await prepare(t);
    const ids = await add(redis, 'orders', 10);
    assert.match((await run('trim', 'orders', '--maxlen', '7')).stdout, /3 entries removed, 7 left/);
    assert.match((await run('trim', 'orders', '--minid', ids[8])).stdout, /5 entries removed, 2 left/);
    assert.equal(await redis.command('XLEN', 'orders'), 2);
    await redis.command('SET', 'text', 'x');
    for (const [words, code, message] of [
      [['trim', 'nothing', '--maxlen', '1'], 1, /there is no stream nothing/],
      [['trim', 'text', '--maxlen', '1'], 1, /WRONGTYPE/],
      [['trim', 'orders', '--maxlen', 'many'], 2, /no number of entries/],
      [['trim', 'orders', '--minid', 'x-y'], 2, /no id of an entry/],
      [['trim', 'orders'], 2, /usage/],
      [['trim', 'orders', '--maxlen', '1', '--minid', '1-1'], 2, /usage/],
    ]) {
      const result = await run(...words);
      assert.equal(result.code, code, words.join(' '));
      assert.match(result.output, message);
    }
    assert.equal(await redis.command('XLEN', 'orders'), 2);
  });

  const bury = (redis, n, fields = ['n', n, 'data', '{"a":[1,2]}']) =>
    redis.command('XADD', 'orders:dead', '*', ...fields, 'dead:reason', 'max-deliveries', 'dead:deliveries', 5, 'dead:id', `1-${n}`, 'dead:group', 'billing');

  test('dead lists', async (t) => {
    const { redis, run } = await prepare(t);
    const empty = await run('dead');
    assert.equal(empty.code, 0);
    assert.match(empty.stdout, /^orders: 0 dead letters$/m);
    const id = await bury(redis, 1);
    for (let n = 2; n <= 250; n++) bury(redis, n);
    const { stdout } = await run('dead', 'orders', '--json', '--count', '240');
    const { deadLetters } = JSON.parse(stdout);
    assert.equal(deadLetters.length, 240);
    assert.deepEqual(deadLetters[0], {
      stream: 'orders', id, originalId: '1-1', group: 'billing', deliveries: 5, reason: 'max-deliveries', data: { n: '1', data: { a: [1, 2] } },
    });
    assert.equal(deadLetters[239].originalId, '1-240');
    const text = await run('dead', 'orders', '--count', '2');
    assert.match(text.stdout, /^orders: 250 dead letters$/m);
    assert.match(text.stdout, new RegExp(`^${id}  of "1-1"  group "billing"  deliveries "5"  reason "max-deliveries"$`, 'm'));
    assert.match(text.stdout, /and 248 more/);
  });

  test('dead replay puts back what it was, once', async (t) => {
    const { redis, run } = await prepare(t);
    const binary = Buffer.from([0, 255, 10, 13]);
    const first = await bury(redis, 1);
    for (let n = 2; n <= 120; n++) await bury(redis, n, n === 2 ? ['b', binary, 'dead:reason', 'an own one'] : undefined);
    const one = await run('dead', 'replay', 'orders', first);
    assert.equal(one.code, 0, one.output);
    assert.match(one.stdout, new RegExp(`^${first} → \\d+-\\d+$`, 'm'));
    assert.deepEqual((await redis.command('XRANGE', 'orders', '-', '+'))[0][1], ['n', '1', 'data', '{"a":[1,2]}']);
    const again = await run('dead', 'replay', 'orders', first);
    assert.equal(again.code, 1);
    assert.match(again.stdout, /is not there/);

    const all = await run('dead', 'replay', 'orders');
    assert.equal(all.code, 0, all.output);
    assert.match(all.stdout, /^orders: 119 replayed$/m);
    assert.equal(await redis.command('XLEN', 'orders'), 120);
    assert.equal(await redis.command('XLEN', 'orders:dead'), 0);
    const second = (await redis.command('XRANGE', 'orders', '-', '+'))[1][1];
    assert.deepEqual(second, ['b', binary.toString('utf8'), 'dead:reason', 'an own one']);
  });

  test('dead replay onto a key that is no stream loses nothing', async (t) => {
    const { redis, run } = await prepare(t);
    await bury(redis, 1);
    await redis.command('SET', 'orders', 'x');
    const { code, output } = await run('dead', 'replay', 'orders');
    assert.equal(code, 1);
    assert.match(output, /WRONGTYPE/);
    assert.equal(await redis.command('XLEN', 'orders:dead'), 1);
  });

  test('dead drop', async (t) => {
    const { redis, run } = await prepare(t);
    const id = await bury(redis, 1);
    await bury(redis, 2);
    assert.match((await run('dead', 'drop', 'orders', id)).stdout, /^orders: 1 dropped$/m);
    assert.equal((await run('dead', 'drop', 'orders', 'nonsense')).code, 2);
    assert.match((await run('dead', 'drop', 'orders')).stdout, /^orders: 1 dropped$/m);
    assert.equal(await redis.command('XLEN', 'orders:dead'), 0);
    assert.equal(await redis.command('XLEN', 'orders'), 0);
  });

  test('says what is wrong: no action, no stream, no Redis, no such setting', async (t) => {
    const none = await sluice(['streams']);
    assert.equal(none.code, 2);
    assert.match(none.output, /usage: sluice streams status/);
    assert.equal((await sluice(['streams', 'sing'])).code, 2);
    assert.match((await sluice(['streams', 'status'])).output, /no stream is configured/);
    assert.match((await sluice(['streams', 'setup'])).output, /no stream is configured/);
    assert.match((await sluice(['streams', 'status', '--strems', 'a'])).output, /did you mean --streams/);
    const away = await sluice(['streams', 'status', 'a', '--redis-url', `redis://127.0.0.1:${await freePort()}`, '--redis-timeout', '300ms']);
    assert.equal(away.code, 1);
    assert.match(away.output, /no connection to Redis within 300 ms/);
    const { redis } = await prepare(t);
    await redis.command('ACL', 'SETUSER', redis.user, '-memory');
    const refused = await sluice(['streams', 'status', 'a', '--redis-url', redis.url]);
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, /^a +(NOPERM|ERR ACL failure)/m);
  });
});

describe('the alert rules', () => {
  for (const [words, file] of [
    [['check', 'rules'], 'sluice.rules.yml'],
    [['test', 'rules'], 'sluice.rules.test.yml'],
  ]) {
    test(`promtool ${words.join(' ')} ${file}`, async () => {
      const { code, output } = await runProcess('promtool', [...words, `${ROOT}deploy/prometheus/${file}`]);
      assert.equal(code, 0, output);
    });
  }
});
