// Consumer groups over HTTP: each entry to one worker, acknowledged, given back, taken over, and given up.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startGateway, startPair } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

/** A worker: what it is given comes as {id, deliveries, data}; `ack` and `nack` take ids. */
class Worker {
  static async open(gateway, stream, query, group = 'g') {
    const worker = new Worker();
    worker.gateway = gateway;
    worker.path = `/streams/${encodeURIComponent(stream)}/groups/${encodeURIComponent(group)}`;
    worker.sse = await gateway.stream(`${worker.path}/events?${new URLSearchParams(query)}`);
    assert.equal(worker.sse.status, 200);
    await worker.sse.seesRetry();
    return worker;
  }

  async next(milliseconds) {
    const event = await this.sse.next(milliseconds);
    assert.equal(event.event, 'message', `got ${JSON.stringify(event)}`);
    const entry = JSON.parse(event.data);
    assert.equal(event.id, entry.id);
    return entry;
  }

  async take(count) {
    const entries = [];
    while (entries.length < count) entries.push(await this.next());
    return entries;
  }

  /** What has come so far and was not looked at. */
  get waiting() {
    return this.sse.events.length - this.sse.taken;
  }

  post(verb, ids, more = {}) {
    return this.gateway.request('POST', `${this.path}/${verb}`, { body: { ids, ...more } });
  }

  async ack(...ids) {
    const answer = await this.post('ack', ids);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json(), { acked: ids, notPending: [] });
  }

  async nack(...ids) {
    const answer = await this.post('nack', ids);
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json(), { nacked: ids, notPending: [] });
  }

  close() {
    return this.sse.close();
  }
}

const ids = (entries) => entries.map((entry) => entry.id);

async function add(redis, stream, count, fields = (index) => ['n', index]) {
  const added = [];
  for (let index = 0; index < count; index++) added.push(redis.command('XADD', stream, '*', ...fields(index)));
  return Promise.all(added);
}

const pending = async (redis, stream, group = 'g') => (await redis.command('XPENDING', stream, group))[0];

/** A list of [name, value, …] as an object. */
const object = (list) => Object.fromEntries(Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]]));

describe('consumer groups', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  test('an entry comes with id, deliveries and its fields, and is gone when acknowledged', async () => {
    const worker = await Worker.open(gateway, 'first', { consumer: 'w' });
    const id = await redis.command('XADD', 'first', '*', 'subject', 'hello', 'body', '{"a": [1]}');
    assert.deepEqual(await worker.next(), { id, deliveries: 1, data: { subject: 'hello', body: { a: [1] } } });
    assert.equal(await pending(redis, 'first'), 1);
    await worker.ack(id);
    assert.equal(await pending(redis, 'first'), 0);
    await worker.close();
  });

  test('new entries are pushed at once, not found by looking', async () => {
    const worker = await Worker.open(gateway, 'pushed', { consumer: 'w' });
    await pause(300); // the tail is there
    const waits = [];
    for (let i = 0; i < 5; i++) {
      await pause(130);
      const before = performance.now();
      const [id] = await add(redis, 'pushed', 1);
      assert.equal((await worker.next()).id, id);
      waits.push(performance.now() - before);
      await worker.ack(id);
    }
    assert.ok(Math.min(...waits) < 100, `took ${waits}`);
    await worker.close();
  });

  test('a new group begins with what comes, or with start=0 with all there is', async () => {
    const [old] = await add(redis, 'start', 1);
    const late = await Worker.open(gateway, 'start', { consumer: 'w' }, 'late');
    const all = await Worker.open(gateway, 'start', { consumer: 'w', start: '0' }, 'all');
    const [fresh] = await add(redis, 'start', 1);
    assert.deepEqual(ids(await all.take(2)), [old, fresh]);
    assert.equal((await late.next()).id, fresh);
    assert.equal(late.waiting, 0);
    await late.close();
    await all.close();
  });

  test('three workers share: each entry goes to one of them', async () => {
    const workers = await Promise.all(['a', 'b', 'c'].map((consumer) => Worker.open(gateway, 'shared', { consumer, prefetch: 20 })));
    const handled = [];
    const work = workers.map(async (worker) => {
      let share = 0;
      for (;;) {
        const { id, deliveries, data } = await worker.next(20000);
        await worker.ack(id);
        if (data.end) return share;
        assert.equal(deliveries, 1);
        handled.push(id);
        share++;
      }
    });
    const added = await add(redis, 'shared', 3000);
    await until('all entries', () => handled.length === added.length, 30000);
    assert.deepEqual(handled.sort(), added.sort());
    // So many that each worker gets one.
    const ends = add(redis, 'shared', 60, () => ['end', '1']);
    const shares = await Promise.all(work);
    await ends;
    assert.ok(Math.min(...shares) > 300, `shares ${shares}`);
    await Promise.all(workers.map((worker) => worker.close()));
  });

  test('no more than prefetch are in flight', async () => {
    const worker = await Worker.open(gateway, 'bound', { consumer: 'w', prefetch: 3 });
    const added = await add(redis, 'bound', 10);
    const first = await worker.take(3);
    await pause(300);
    assert.equal(worker.waiting, 0);
    await worker.ack(first[1].id);
    assert.equal((await worker.next()).id, added[3]);
    await pause(100);
    assert.equal(worker.waiting, 0);
    await worker.ack(first[0].id, first[2].id, added[3]);
    assert.deepEqual(ids(await worker.take(3)), added.slice(4, 7));
    await worker.close();
  });

  test('what is acknowledged at another place makes room, too', async () => {
    const worker = await Worker.open(gateway, 'elsewhere', { consumer: 'w', prefetch: 2 });
    const added = await add(redis, 'elsewhere', 4);
    await worker.take(2);
    await redis.command('XACK', 'elsewhere', 'g', added[0], added[1]);
    assert.deepEqual(ids(await worker.take(2)), added.slice(2));
    await worker.close();
  });

  test('nack: delivered again at once, and counted', async () => {
    const worker = await Worker.open(gateway, 'nacked', { consumer: 'w' });
    const [id] = await add(redis, 'nacked', 1);
    assert.equal((await worker.next()).deliveries, 1);
    const before = performance.now();
    await worker.nack(id);
    assert.deepEqual(await worker.next(), { id, deliveries: 2, data: { n: '0' } });
    assert.ok(performance.now() - before < 500);
    await worker.ack(id);
    await worker.close();
  });

  test('nack gives an entry to a worker that has room', async () => {
    const full = await Worker.open(gateway, 'given', { consumer: 'full', prefetch: 2 });
    const added = await add(redis, 'given', 2);
    await full.take(2);
    const free = await Worker.open(gateway, 'given', { consumer: 'free' });
    await full.nack(added[0]);
    // Both have room now. In one thread it is the one with less to do; between threads, whoever is first.
    const taker = await until('one of them has it', () => [full, free].find(({ waiting }) => waiting > 0));
    assert.deepEqual(await taker.next(), { id: added[0], deliveries: 2, data: { n: '0' } });
    assert.equal(full.waiting + free.waiting, 0);
    await full.close();
    await free.close();
  });

  test('what a worker left behind is taken over when it has been idle', async () => {
    const lost = await Worker.open(gateway, 'taken', { consumer: 'lost' });
    const added = await add(redis, 'taken', 3);
    await lost.take(3);
    await lost.close();
    const heir = await Worker.open(gateway, 'taken', { consumer: 'heir', idle: '700ms' });
    await pause(200);
    assert.equal(heir.waiting, 0);
    const entries = await heir.take(3);
    assert.deepEqual(ids(entries), added);
    assert.deepEqual(entries.map((entry) => entry.deliveries), [2, 2, 2]);
    await heir.ack(...added);
    await heir.close();
    assert.ok((await gateway.metric('sluice_group_claims_total')) >= 3);
  });

  test('dead letters that cannot be written do not hold up what is pending behind them', async () => {
    await redis.command('SET', 'unwritable:dead', 'no stream');
    await redis.command('XGROUP', 'CREATE', 'unwritable', 'g', '0', 'MKSTREAM');
    const ids = [];
    for (let n = 0; n < 8; n++) ids.push(await redis.command('XADD', 'unwritable', '*', 'n', n));
    await redis.command('XREADGROUP', 'GROUP', 'g', 'gone', 'STREAMS', 'unwritable', '>');
    for (const id of ids.slice(0, 5)) await redis.command('XCLAIM', 'unwritable', 'g', 'gone', 0, id, 'RETRYCOUNT', 9, 'IDLE', 60000);
    const worker = await Worker.open(gateway, 'unwritable', { consumer: 'w', prefetch: 2, idle: '300ms' });
    for (const expected of ids.slice(5)) {
      const { id } = await worker.next();
      assert.equal(id, expected);
      await worker.ack(id);
    }
    await redis.command('DEL', 'unwritable:dead');
    await until('they are written once they can be', async () => (await redis.command('XLEN', 'unwritable:dead')) === 5);
    await worker.close();
  });

  test('a worker of a user who lacks a right is told', async () => {
    await redis.command('ACL', 'SETUSER', 'narrow', 'on', '>pw', '~*', '&*', '+@all', '-xpending');
    const other = await startGateway({ redis, flags: ['--redis-url', redis.url.replace(/:\/\/([^@]*@)?/, '://narrow:pw@')] });
    const worker = await Worker.open(other, 'narrowed', { consumer: 'w' });
    const { event, data } = await worker.sse.next();
    assert.deepEqual([event, data], ['refused', '{"reason":"not-permitted"}']);
    await worker.close();
    await other.stop();
  });

  test('a worker that comes while Redis is at maxmemory gets what is there', async () => {
    await redis.command('XGROUP', 'CREATE', 'full', 'g', '0', 'MKSTREAM');
    const added = await add(redis, 'full', 2);
    await redis.command('CONFIG', 'SET', 'maxmemory', 1);
    try {
      const worker = await Worker.open(gateway, 'full', { consumer: 'w' });
      assert.deepEqual(ids(await worker.take(2)), added);
      await worker.ack(...added);
      await worker.close();
    } finally {
      await redis.command('CONFIG', 'SET', 'maxmemory', 0);
    }
  });

  test('an entry that is never acknowledged becomes a dead letter', async () => {
    const worker = await Worker.open(gateway, 'poison', { consumer: 'w', max_deliveries: 3, idle: '200ms' });
    const id = await redis.command('XADD', 'poison', '*', 'subject', 'bad', 'raw', Buffer.from([0xff, 0x00]));
    const deliveries = (await worker.take(3)).map((entry) => entry.deliveries);
    assert.deepEqual(deliveries, [1, 2, 3]);
    const [letter] = await until('a dead letter', async () => {
      const letters = await redis.command('XRANGE', 'poison:dead', '-', '+');
      return letters.length && letters;
    });
    const fields = object(letter[1]);
    assert.equal(fields.subject, 'bad');
    assert.ok('raw' in fields);
    assert.equal(fields['dead:reason'], 'max-deliveries');
    assert.equal(fields['dead:deliveries'], '3');
    assert.equal(fields['dead:id'], id);
    assert.equal(fields['dead:group'], 'g');
    assert.equal(await pending(redis, 'poison'), 0);
    await pause(400);
    assert.equal(worker.waiting, 0);
    await worker.close();
    assert.ok((await gateway.metric('sluice_group_dead_letters_total')) >= 1);
  });

  test('a worker whose prefetch is full of what it lost goes on', async () => {
    const worker = await Worker.open(gateway, 'stuck', { consumer: 'w', prefetch: 1, max_deliveries: 2, idle: '200ms' });
    const added = await add(redis, 'stuck', 2);
    assert.deepEqual(ids(await worker.take(4)), [added[0], added[0], added[1], added[1]]);
    await worker.close();
  });

  test('who comes back under its name gets its own first, then what is new', async () => {
    const worker = await Worker.open(gateway, 'again', { consumer: 'w', prefetch: 3 });
    const added = await add(redis, 'again', 5);
    await worker.take(3);
    await worker.ack(added[1]);
    await worker.next();
    await worker.close();
    await until('the stream is gone', async () => (await gateway.metric('sluice_sse_clients')) === 0);
    const back = await Worker.open(gateway, 'again', { consumer: 'w', prefetch: 10 });
    const entries = await back.take(4);
    assert.deepEqual(ids(entries), [added[0], added[2], added[3], added[4]]);
    assert.deepEqual(entries.map((entry) => entry.deliveries), [2, 2, 2, 1]);
    await back.close();
  });

  test('of two connections under one name the newer one goes on', async () => {
    const older = await Worker.open(gateway, 'twice', { consumer: 'w' });
    const [id] = await add(redis, 'twice', 1);
    await older.next();
    const newer = await Worker.open(gateway, 'twice', { consumer: 'w' });
    const refused = await older.sse.next();
    assert.equal(refused.event, 'refused');
    assert.deepEqual(JSON.parse(refused.data), { reason: 'replaced' });
    await older.sse.end();
    assert.equal((await newer.next()).id, id);
    await newer.close();
  });

  test('a worker that has nothing pending leaves nothing in Redis', async () => {
    const idle = await Worker.open(gateway, 'tidy', { consumer: 'idle' });
    const busy = await Worker.open(gateway, 'tidy', { consumer: 'busy' });
    await add(redis, 'tidy', 2);
    await until('both entries', () => idle.waiting + busy.waiting === 2);
    for (const worker of [idle, busy]) while (worker.waiting) if (worker === idle) await worker.ack((await worker.next()).id); else await worker.next();
    const left = (await pending(redis, 'tidy')) > 0 ? 1 : 0;
    await idle.close();
    await busy.close();
    await until('only who has something pending', async () => (await redis.command('XINFO', 'CONSUMERS', 'tidy', 'g')).length === left);
  });

  test('FLUSHALL: the group is made again, the worker is told, nothing that comes is lost', async (t) => {
    const pair = await startPair(t);
    const worker = await Worker.open(pair.gateway, 'flushed', { consumer: 'w' });
    await add(pair.redis, 'flushed', 2);
    await worker.take(2);
    await pair.redis.command('FLUSHALL');
    const [id] = await add(pair.redis, 'flushed', 1);
    const gap = await worker.sse.next();
    assert.equal(gap.event, 'gap');
    assert.deepEqual(JSON.parse(gap.data), { reason: 'group-reset' });
    assert.deepEqual(await worker.next(), { id, deliveries: 1, data: { n: '0' } });
    await worker.ack(id);
    await worker.close();
  });

  test('XGROUP DESTROY: what was not acknowledged comes again', async () => {
    const worker = await Worker.open(gateway, 'destroyed', { consumer: 'w' });
    const added = await add(redis, 'destroyed', 3);
    await worker.take(3);
    await worker.ack(added[0]);
    await redis.command('XGROUP', 'DESTROY', 'destroyed', 'g');
    assert.equal((await worker.sse.next()).event, 'gap');
    assert.deepEqual(ids(await worker.take(2)), added.slice(1));
    await worker.close();
  });

  test('entries deleted before they were acknowledged are told as a gap', async () => {
    const worker = await Worker.open(gateway, 'trimmed', { consumer: 'w', idle: '300ms' });
    const added = await add(redis, 'trimmed', 2);
    await worker.take(2);
    await redis.command('XDEL', 'trimmed', added[0]);
    const event = await worker.sse.nextWhere((candidate) => candidate.event === 'gap');
    assert.deepEqual(JSON.parse(event.data), { reason: 'trimmed', missing: 1 });
    await worker.close();
  });

  test('a key that becomes something else ends the stream with a reason', async () => {
    const worker = await Worker.open(gateway, 'turned', { consumer: 'w' });
    await redis.command('SET', 'turned', 'text');
    const event = await worker.sse.next();
    assert.equal(event.event, 'refused');
    assert.deepEqual(JSON.parse(event.data), { reason: 'wrong-type' });
    await worker.sse.end();
  });

  test('a worker that does not read is not sent more than it takes', async () => {
    const worker = await Worker.open(gateway, 'slow', { consumer: 'w', prefetch: 1000 });
    worker.sse.pause();
    const blob = 'x'.repeat(200_000);
    const added = await add(redis, 'slow', 100, () => ['blob', blob]);
    await pause(500);
    worker.sse.resume();
    assert.deepEqual(ids(await worker.take(100)).sort(), added.sort());
    assert.equal(await gateway.metric('sluice_slow_clients_total{action="disconnected"}'), 0);
    await worker.close();
  });

  describe('wrong input', () => {
    const body = (value) => ({ body: value });
    for (const [query, says] of [
      ['', /consumer=NAME/],
      ['consumer=', /between 1 and 512/],
      [`consumer=${'x'.repeat(513)}`, /between 1 and 512/],
      ['consumer=w&prefetch=0', /prefetch/],
      ['consumer=w&prefetch=1001', /prefetch/],
      ['consumer=w&prefetch=many', /prefetch/],
      ['consumer=w&start=5', /start/],
      ['consumer=w&idle=soon', /idle/],
      ['consumer=w&idle=10ms', /idle/],
      ['consumer=w&max_deliveries=0', /max_deliveries/],
    ]) {
      test(`events?${query.slice(0, 40)}`, async () => {
        const { status, json } = await gateway.get(`/streams/wrong/groups/g/events?${query}`);
        assert.equal(status, 400);
        assert.match(json().detail, says);
        assert.equal(await redis.command('EXISTS', 'wrong'), 0);
      });
    }

    test('a key of the gateway’s own', async () => {
      const path = '/streams/sluice:revoked:ann/groups/g';
      assert.equal((await gateway.get(`${path}/events?consumer=w`)).status, 422);
      for (const verb of ['ack', 'nack']) assert.equal((await gateway.request('POST', `${path}/${verb}`, body({ ids: ['1-0'] }))).status, 422);
      assert.equal(await redis.command('EXISTS', 'sluice:revoked:ann'), 0);
    });

    test('a key that is no stream', async () => {
      await redis.command('SET', 'text', 'x');
      const events = await gateway.get('/streams/text/groups/g/events?consumer=w');
      assert.equal(events.status, 422);
      const ack = await gateway.request('POST', '/streams/text/groups/g/ack', body({ ids: ['1-0'] }));
      assert.equal(ack.status, 422);
      assert.match(ack.json().detail, /stream/);
    });

    test('an unknown stream or group', async () => {
      await add(redis, 'known', 1);
      for (const stream of ['unknown', 'known'])
        for (const verb of ['ack', 'nack']) {
          const { status, json } = await gateway.request('POST', `/streams/${stream}/groups/none/${verb}`, body({ ids: ['1-0'] }));
          assert.equal(status, 404);
          assert.match(json().detail, /no such group/);
        }
      assert.equal(await redis.command('EXISTS', 'unknown'), 0);
    });

    test('ids that are not pending: which were acknowledged and which not', async () => {
      const worker = await Worker.open(gateway, 'partly', { consumer: 'w' });
      const [id] = await add(redis, 'partly', 1);
      await worker.next();
      const some = await worker.post('ack', [id, '1-1', id]);
      assert.equal(some.status, 207);
      assert.deepEqual(some.json(), { acked: [id], notPending: ['1-1'] });
      const none = await worker.post('ack', [id]);
      assert.equal(none.status, 409);
      assert.equal(none.headers['content-type'], 'application/problem+json');
      assert.deepEqual(none.json().notPending, [id]);
      assert.deepEqual(none.json().acked, []);
      await worker.close();
    });

    test("another consumer's entry, when it is said whose it is", async () => {
      const worker = await Worker.open(gateway, 'whose', { consumer: 'mine' });
      const [id] = await add(redis, 'whose', 1);
      await worker.next();
      for (const verb of ['ack', 'nack']) {
        const other = await worker.post(verb, [id], { consumer: 'other' });
        assert.equal(other.status, 409);
        assert.match(other.json().detail, /for this consumer/);
      }
      assert.equal(await pending(redis, 'whose'), 1);
      assert.equal((await worker.post('ack', [id], { consumer: 'mine' })).status, 200);
      await worker.close();
    });

    for (const [name, wrong, status] of [
      ['no JSON', '{"ids":', 400],
      ['no object', '[1]', 400],
      ['no ids', '{}', 400],
      ['ids that are no array', '{"ids":"1-0"}', 400],
      ['no id at all', '{"ids":[]}', 400],
      ['ids that are none', '{"ids":["1-0","x"]}', 400],
      ['numbers', '{"ids":[1]}', 400],
      ['an id out of range', '{"ids":["18446744073709551616-0"]}', 400],
      ['a consumer that is no name', '{"ids":["1-0"],"consumer":7}', 400],
      ['too many ids', JSON.stringify({ ids: Array.from({ length: 1001 }, (_, i) => `1-${i}`) }), 422],
      ['a huge body', JSON.stringify({ ids: ['1-0'], more: 'x'.repeat(2 << 20) }), 413],
    ])
      test(`ack: ${name}`, async () => {
        const answer = await gateway.request('POST', '/streams/s/groups/g/ack', {
          body: wrong, headers: { 'content-type': 'application/json' },
        });
        assert.equal(answer.status, status, answer.text);
      });

    test('a thousand ids at once', async () => {
      const worker = await Worker.open(gateway, 'thousand', { consumer: 'w', prefetch: 1000 });
      const added = await add(redis, 'thousand', 1000);
      await worker.take(1000);
      await worker.ack(...added);
      assert.equal(await pending(redis, 'thousand'), 0);
      await worker.close();
    });

    test('a form, or another method', async () => {
      const form = await gateway.request('POST', '/streams/s/groups/g/ack', {
        body: 'ids=1-0', headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
      assert.equal(form.status, 415);
      assert.equal((await gateway.get('/streams/s/groups/g/ack')).status, 405);
      assert.equal((await gateway.request('POST', '/streams/s/groups/g/events')).status, 405);
    });

    test('HEAD consumes nothing', async () => {
      const { status, headers } = await gateway.request('HEAD', '/streams/head/groups/g/events?consumer=w');
      assert.equal(status, 200);
      assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8');
      assert.equal(await redis.command('EXISTS', 'head'), 0);
    });
  });
});

describe('groups, when things break', () => {
  test('two gateways share a group, and take over from each other', async (t) => {
    const { redis, gateway } = await startPair(t);
    const other = await startGateway({ redis });
    t.after(() => other.stop());
    const here = await Worker.open(gateway, 's', { consumer: 'here', prefetch: 50, idle: '2s' });
    const there = await Worker.open(other, 's', { consumer: 'there', prefetch: 50, idle: '2s' });
    const added = await add(redis, 's', 100);
    const entries = [...(await here.take(50)), ...(await there.take(50))];
    assert.deepEqual(ids(entries).sort(), added.sort());
    assert.deepEqual(entries.map((entry) => entry.deliveries), Array(100).fill(1));
    // Acknowledged through the other gateway than they came by.
    await there.ack(...ids(entries.slice(0, 50)));
    const more = await add(redis, 's', 10);
    const heard = await until('the rest', async () => here.waiting >= 10 && (await here.take(10)));
    assert.deepEqual(ids(heard), more);
    await there.close();
    const rest = entries.slice(50).map((entry) => entry.id);
    const taken = new Set();
    while (taken.size < 50) {
      const { id } = await here.next();
      if (rest.includes(id)) taken.add(id);
      await here.post('ack', [id]);
    }
    await here.close();
  });

  test('kill -9 of the gateway: nothing is lost', async (t) => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    let gateway = await startGateway({ redis });
    t.after(() => gateway.stop());
    const handled = new Set();
    const added = [];
    for (let round = 0; round < 3; round++) {
      const workers = await Promise.all(['a', 'b'].map((consumer) => Worker.open(gateway, 's', { consumer, prefetch: 20 })));
      const before = handled.size;
      const work = workers.map(async (worker) => {
        try {
          for (;;) {
            const entry = await worker.next();
            handled.add(entry.id);
            await worker.post('ack', [entry.id]);
          }
        } catch {
          // the gateway was killed
        }
      });
      added.push(...(await add(redis, 's', 500)));
      await until('some work done', () => handled.size > before + 200, 10000);
      gateway.process.kill('SIGKILL');
      await gateway.process.ends();
      await Promise.all(work);
      gateway = await startGateway({ redis, port: gateway.port });
    }
    const last = await Worker.open(gateway, 's', { consumer: 'c', prefetch: 100, idle: '300ms' });
    const finish = (async () => {
      for (;;) {
        const entries = [await last.next(30000), ...(await last.take(last.waiting))];
        for (const { id } of entries) handled.add(id);
        await last.post('ack', ids(entries));
      }
    })();
    finish.catch(() => {}); // it ends with its stream
    const isDone = async () => handled.size === added.length && (await pending(redis, 's')) === 0;
    await until('everything to be handled and acknowledged', isDone, 30000);
    assert.deepEqual([...handled].sort(), [...added].sort());
    await last.close();
  });

  test('Redis goes and comes back: streams stay open and go on', async (t) => {
    const { redis, gateway } = await startPair(t, { redis: { args: ['--appendonly', 'yes', '--appendfsync', 'always'] } });
    const worker = await Worker.open(gateway, 's', { consumer: 'w', prefetch: 2 });
    const added = await add(redis, 's', 3);
    await worker.take(2);
    await redis.kill();
    const { status } = await worker.post('ack', [added[0]]);
    assert.equal(status, 503);
    const late = await Worker.open(gateway, 's', { consumer: 'late' });
    await redis.start();
    await gateway.ready();
    assert.equal((await late.next(10000)).id, added[2]);
    await worker.ack(added[0], added[1]);
    const [id] = await add(redis, 's', 1);
    const { id: heard } = await Promise.race([worker.next(10000), late.next(10000)]);
    assert.equal(heard, id);
    await worker.close();
    await late.close();
  });
});
