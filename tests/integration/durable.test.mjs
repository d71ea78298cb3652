// Redis Streams over SSE: entries as events, where a stream begins, and coming back to exactly what was missed.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { addEntries, entriesOf } from '../support/durable.mjs';
import { startGateway, startPair } from '../support/gateway.mjs';
import { runProcess } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

const listed = (events) => events.map(({ id, data }) => `${id} ${JSON.parse(data).n}`);
const watched = (gateway, count = 1) => until('the stream is watched', async () => (await gateway.metric('sluice_streams_watched')) >= count);

describe('streams of Redis', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis, flags: ['--replay-messages', '50'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  /** Opens a stream and closes it after the test, whatever becomes of it. */
  async function open(t, query, headers) {
    const stream = await gateway.stream(`/events/stream?${query}`, headers);
    t.after(() => stream.close());
    assert.equal(stream.status, 200);
    return stream;
  }

  /** Opens a stream that is live: `retry:` says that all it listens to is watched. */
  async function openLive(t, query, headers) {
    const stream = await open(t, query, headers);
    await stream.seesRetry();
    return stream;
  }

  describe('as events', () => {
    test('entries by redis-cli: fields are an object, ids are ids', async (t) => {
      const stream = await openLive(t, 'stream=cli');
      const { stdout } = await runProcess('redis-cli', ['-s', redis.socket, 'XADD', 'cli', '*', 'kind', 'sale', 'amount', '12.50', 'items', '[{"sku": "a"}]', 'broken', '{no']);
      const event = await stream.next();
      assert.equal(event.event, 'message');
      assert.equal(event.id, stdout.trim());
      assert.deepEqual(JSON.parse(event.data), { kind: 'sale', amount: '12.50', items: [{ sku: 'a' }], broken: '{no' });
    });

    test('formats', async (t) => {
      const raw = await openLive(t, 'stream=formats');
      const named = await openLive(t, 'stream=formats&format=named');
      const envelope = await openLive(t, 'stream=formats&format=envelope');
      const [id] = await addEntries(redis, 'formats', 1, 7);
      assert.deepEqual(await raw.next(), { event: 'message', data: '{"n":"7"}', id });
      assert.deepEqual(await named.next(), { event: 'formats', data: '{"n":"7"}', id });
      const enveloped = await envelope.next();
      assert.deepEqual(JSON.parse(enveloped.data), { stream: 'formats', id, data: { n: '7' } });
      assert.equal(enveloped.id, id);
    });

    test('binary values and names, from the tail, the ring and from history', async (t) => {
      const bytes = Buffer.from([0, 1, 0xff, 0xfe, 10, 13]);
      const wanted = { plain: 'x', binary: { base64: bytes.toString('base64') }, '\ufffd': 'name', 'line\nend': 'a\r\nb' };
      const live = await openLive(t, 'stream=binary');
      await redis.command('XADD', 'binary', '*', 'plain', 'x', 'binary', bytes, Buffer.from([0xff]), 'name', 'line\nend', 'a\r\nb');
      assert.deepEqual(JSON.parse((await live.next()).data), wanted);
      const ring = await open(t, 'stream=binary&since=0');
      assert.deepEqual(JSON.parse((await ring.next()).data), wanted);
      await addEntries(redis, 'binary', 60);
      const history = await open(t, 'stream=binary&since=0');
      const events = await history.take(61);
      assert.deepEqual(JSON.parse(events[0].data), wanted);
      assert.deepEqual(events.map(({ id }) => id), [...new Set(events.map(({ id }) => id))]);
    });

    test('entries of a megabyte, live and by coming back', async (t) => {
      const live = await openLive(t, 'stream=huge');
      const letters = Array.from({ length: 24 }, (_, i) => String.fromCharCode(97 + i).repeat(1 << 20));
      const ids = [];
      for (const [n, text] of letters.entries()) {
        ids.push(await redis.command('XADD', 'huge', '*', 'n', n, 'text', text));
        const { id, data } = await live.next(10000);
        assert.equal(id, ids[n]);
        assert.ok(JSON.parse(data).text === text, `entry ${n}`);
      }
      const back = await open(t, 'stream=huge', { 'last-event-id': ids[3] });
      const events = await back.take(20, 20000);
      for (const [i, { id, data }] of events.entries()) {
        assert.equal(id, ids[i + 4]);
        assert.ok(JSON.parse(data).text === letters[i + 4], `entry ${i + 4}`);
      }
    });

    test('many clients are one watched stream', async (t) => {
      const before = await gateway.metric('sluice_streams_watched');
      const streams = await Promise.all(Array.from({ length: 30 }, () => openLive(t, 'stream=shared')));
      assert.equal(await gateway.metric('sluice_streams_watched'), before + 1);
      await addEntries(redis, 'shared', 1, 1);
      for (const stream of streams) assert.equal((await stream.next()).data, '{"n":"1"}');
    });

    test('a key that is no stream: refused with the reason, and Redis keeps its key', async (t) => {
      await redis.command('SET', 'text', 'x');
      for (const query of ['stream=text', 'stream=text&since=0', 'stream=fine&stream=text', 'stream=text&since=5']) {
        const stream = await open(t, query);
        const event = await stream.next();
        assert.equal(event.event, 'refused', query);
        assert.match(JSON.parse(event.data).reason, /WRONGTYPE|no stream/, query);
        assert.ok((await stream.seesRetry()) >= 10000);
        await stream.end();
      }
      assert.equal(await redis.command('GET', 'text'), 'x');
    });

    test('a stream that is overwritten while it is listened to: refused, and the others go on', async (t) => {
      const other = await openLive(t, 'stream=kept');
      const stream = await openLive(t, 'stream=overwritten&since=0');
      await addEntries(redis, 'overwritten', 1);
      await stream.next();
      await redis.command('SET', 'overwritten', 'x');
      const event = await stream.next(8000);
      assert.equal(event.event, 'refused');
      await stream.end();
      await addEntries(redis, 'kept', 1);
      await other.next();
    });
  });

  describe('since', () => {
    let ids;
    before(async () => {
      ids = await addEntries(redis, 'past', 700);
      await redis.command('XADD', 'dated', '1735689599999-5', 'n', 'old');
      await redis.command('XADD', 'dated', '1735689600000-0', 'n', 'first of 2025');
      await redis.command('XADD', 'dated', '1735689600000-1', 'n', 'second');
    });

    const cases = [
      ['0: all there is', 'past', '0', 0],
      ['0-0: the same', 'past', '0-0', 0],
      ['the id of an entry: what is behind it', 'past', () => ids[99], 100],
      ['the last id: nothing', 'past', () => ids[699], 700],
      ['a number: the last entries', 'past', '3', 697],
      ['more entries than a page', 'past', '650', 50],
      ['more entries than there are', 'past', '100000', 0],
    ];
    for (const [what, name, since, from] of cases) {
      test(what, async (t) => {
        const stream = await open(t, `stream=${name}&since=${typeof since === 'string' ? since : since()}`);
        await stream.seesRetry();
        assert.deepEqual(listed(await stream.take(700 - from)), (await entriesOf(redis, name)).slice(from));
        assert.ok(!stream.events.some(({ event }) => event === 'gap'));
      });
    }

    for (const [time, count] of [['2025-01-01T00:00:00Z', 2], ['2024-12-31T23:59:59.999Z', 3], ['2025-01-01T00:00:00.001Z', 0], ['2025-01-01T01:00:00%2B01:00', 2], ['1735689600000', 1]])
      test(`the time ${time}`, async (t) => {
        const stream = await open(t, `stream=dated&since=${time}`);
        await stream.seesRetry();
        assert.deepEqual(listed(await stream.take(count)), (await entriesOf(redis, 'dated')).slice(3 - count));
      });

    test('a time or an id that is still to come: from now on', async (t) => {
      for (const since of ['2999-01-01T00:00:00Z', '99999999999999-0']) {
        const stream = await openLive(t, `stream=later&since=${since}`);
        await until('live', async () => {
          await addEntries(redis, 'later', 1, 42);
          return stream.events.length > 0;
        });
        assert.equal((await stream.next()).event, 'message');
      }
    });

    test('of a stream that is not there yet: everything that comes', async (t) => {
      const streams = [];
      for (const since of ['0', '5', '2020-01-01T00:00:00Z', '1735689600000-0']) streams.push(await open(t, `stream=unborn&since=${since}`));
      const added = await addEntries(redis, 'unborn', 3);
      for (const stream of streams) assert.deepEqual((await stream.take(3)).map(({ id }) => id), added);
    });

    test('of several streams and a channel', async (t) => {
      const stream = await open(t, 'stream=past&channel=c&stream=dated&since=2');
      const events = (await stream.take(4)).map(({ data }) => JSON.parse(data));
      assert.deepEqual(events.filter((event) => event.stream === 'past').map(({ id }) => id), ids.slice(-2));
      assert.deepEqual(events.filter((event) => event.stream === 'dated').map(({ data }) => data.n), ['first of 2025', 'second']);
    });

    test('anything else is refused', async () => {
      for (const since of ['yesterday', '-1', '1-2-3', '100001', '2025-13-01T00:00:00Z', '1.5', '99999999999999999999999', '0x10', '%00'])
        assert.equal((await gateway.get(`/events/stream?stream=past&since=${since}`)).status, 400, since);
      const response = await gateway.get('/events/stream?channel=c&since=0');
      assert.equal(response.status, 400);
      assert.match(response.json().detail, /stream/);
    });
  });

  describe('coming back', () => {
    const ways = {
      'the header Last-Event-ID': (id) => ['', { 'last-event-id': id }],
      'the parameter lastEventId': (id) => [`&lastEventId=${encodeURIComponent(id)}`, {}],
      'the parameter last_event_id': (id) => [`&last_event_id=${encodeURIComponent(id)}`, {}],
      'the parameter Last-Event-ID': (id) => [`&Last-Event-ID=${encodeURIComponent(id)}`, {}],
    };
    for (const [index, [name, way]] of Object.entries(ways).entries())
      test(`by ${name}: many pages, then live`, async (t) => {
        const key = `way${index}`;
        const first = await openLive(t, `stream=${key}`);
        await addEntries(redis, key, 1);
        const { id } = await first.next();
        await first.close();
        await addEntries(redis, key, 1700, 1);
        const [query, headers] = way(id);
        const stream = await open(t, `stream=${key}&since=0${query}`, headers);
        await stream.take(1000);
        await addEntries(redis, key, 100, 1701);
        await stream.take(800);
        assert.deepEqual(listed(stream.events), await entriesOf(redis, key, id));
      });

    test('an id of several streams and a channel stands for them alone, and costs no preflight', async (t) => {
      const topics = 'stream=set.a&channel=set.c&stream=set.b';
      const first = await openLive(t, topics);
      await addEntries(redis, 'set.a', 1);
      await addEntries(redis, 'set.b', 1);
      await redis.publish('set.c', '1');
      const { id } = (await first.take(3)).at(-1);
      assert.ok(id.length <= 128);
      assert.doesNotMatch(id, /["():<>?@[\\\]{}\x00-\x1f\x7f]/);
      await first.close();
      await addEntries(redis, 'set.a', 120, 1);
      await redis.publish('set.c', '2');
      await addEntries(redis, 'set.b', 3, 1);

      const same = await open(t, topics, { 'last-event-id': id });
      const events = (await same.take(124)).map(({ data }) => JSON.parse(data));
      assert.deepEqual(events.filter(({ stream }) => stream === 'set.a').map(({ data }) => Number(data.n)), Array.from({ length: 120 }, (_, i) => i + 1));
      assert.deepEqual(events.filter(({ stream }) => stream === 'set.b').map(({ data }) => Number(data.n)), [1, 2, 3]);
      assert.deepEqual(events.filter(({ channel }) => channel).map(({ data }) => data), [2]);

      for (const other of ['stream=set.b&channel=set.c&stream=set.a', 'stream=set.a&stream=set.b', 'stream=set.a', 'channel=set.c', 'stream=set.a&channel=set.c&stream=set.b&stream=set.d']) {
        const stream = await open(t, other, { 'last-event-id': id });
        const gap = await stream.next();
        assert.equal(gap.event, 'gap', other);
        assert.equal(JSON.parse(gap.data).reason, 'unknown-id', other);
      }
    });

    for (const id of ['nonsense', '5f3a9c2e81b04d17-1284', '1-2-3', '-', 'x'.repeat(2000), '1517574547834-', '~00000000~0.0'])
      test(`an id that is none (${id.slice(0, 24)}): a gap, then live`, async (t) => {
        const stream = await openLive(t, 'stream=known', { 'last-event-id': id });
        const gap = await stream.next();
        assert.equal(gap.event, 'gap');
        assert.equal(JSON.parse(gap.data).reason, 'unknown-id');
        const [added] = await addEntries(redis, 'known', 1);
        await stream.nextWhere(({ id }) => id === added);
        // Its thread may have been a moment behind with the entry of the test before.
        assert.ok(stream.events.length <= 3, 'no history');
        await stream.close();
      });

    test('an id of the future: a gap, and all there is', async (t) => {
      const ids = await addEntries(redis, 'young', 5);
      const stream = await open(t, 'stream=young', { 'last-event-id': '99999999999999-0' });
      const gap = await stream.next();
      assert.deepEqual(JSON.parse(gap.data), { reason: 'unknown-id', stream: 'young', first: ids[0] });
      assert.deepEqual((await stream.take(5)).map(({ id }) => id), ids);
    });

    test('trimmed past it: a gap with the first there is, and all from there', async (t) => {
      const ids = await addEntries(redis, 'trimmed', 300);
      await redis.command('XTRIM', 'trimmed', 'MAXLEN', '=', '100');
      const stream = await open(t, 'stream=trimmed', { 'last-event-id': ids[20] });
      const gap = await stream.next();
      assert.deepEqual(JSON.parse(gap.data), { reason: 'trimmed', stream: 'trimmed', first: ids[200] });
      assert.deepEqual((await stream.take(100)).map(({ id }) => id), ids.slice(200));
      const fromStart = await open(t, 'stream=trimmed', { 'last-event-id': '0-0' });
      assert.deepEqual(JSON.parse((await fromStart.next()).data), { reason: 'trimmed', stream: 'trimmed', first: ids[200], missing: 200 });
      const chosen = await open(t, 'stream=trimmed&since=0');
      assert.equal((await chosen.next()).id, ids[200]);
    });

    test('emptied by trimming: a gap, then what comes', async (t) => {
      const ids = await addEntries(redis, 'emptied', 60);
      await redis.command('XTRIM', 'emptied', 'MAXLEN', '=', '0');
      const behind = await open(t, 'stream=emptied', { 'last-event-id': ids[3] });
      assert.deepEqual(JSON.parse((await behind.next()).data), { reason: 'trimmed', stream: 'emptied' });
      const upToDate = await openLive(t, 'stream=emptied', { 'last-event-id': ids[59] });
      const [added] = await addEntries(redis, 'emptied', 1);
      assert.equal((await behind.next()).id, added);
      assert.equal((await upToDate.next()).id, added);
    });

    test('deleted and begun again: a gap, and all there is', async (t) => {
      const ids = await addEntries(redis, 'deleted', 60);
      await redis.command('DEL', 'deleted');
      const none = await open(t, 'stream=deleted', { 'last-event-id': ids[10] });
      assert.deepEqual(JSON.parse((await none.next()).data), { reason: 'unknown-id', stream: 'deleted' });
      const again = await addEntries(redis, 'deleted', 3);
      assert.deepEqual((await none.take(3)).map(({ id }) => id), again);
    });

    test('cut before its first event: what came meanwhile is not lost', async (t) => {
      for (const topics of ['stream=early', 'stream=early&channel=c', 'stream=early&stream=early.other']) {
        const stream = await openLive(t, topics);
        await until('an id', () => stream.lastEventId);
        assert.deepEqual(stream.events, []);
        await stream.close();
        const [added] = await addEntries(redis, 'early', 1, 5);
        const back = await open(t, topics, { 'last-event-id': stream.lastEventId });
        const { id, data } = await back.next();
        assert.equal(topics === 'stream=early' ? id : JSON.parse(data).id, added, topics);
      }
    });
  });
});

test('FLUSHALL while it is listened to: what comes next is told, nothing twice', async (t) => {
  const { redis, gateway } = await startPair(t);
  await addEntries(redis, 's', 20);
  const stream = await gateway.stream('/events/stream?stream=s&since=0');
  t.after(() => stream.close());
  await stream.take(20);
  await redis.command('FLUSHALL');
  const ids = await addEntries(redis, 's', 3, 100);
  const events = (await stream.take(3)).filter(({ event }) => event !== 'gap');
  assert.deepEqual(events.map(({ id }) => id), ids.slice(0, events.length));
});

test('begun again with lower ids while it is listened to: a gap, then what comes', async (t) => {
  const { redis, gateway } = await startPair(t);
  await addEntries(redis, 's', 20);
  const stream = await gateway.stream('/events/stream?stream=s&since=0');
  t.after(() => stream.close());
  await stream.take(20);
  await redis.command('DEL', 's');
  await redis.command('XADD', 's', '5-0', 'n', 'low');
  const gap = await stream.next(8000);
  assert.equal(gap.event, 'gap');
  assert.deepEqual(JSON.parse(gap.data), { reason: 'unknown-id', stream: 's' });
  await redis.command('XADD', 's', '6-0', 'n', 'next');
  assert.equal((await stream.next()).id, '6-0');
  const back = await gateway.stream('/events/stream?stream=s', { 'last-event-id': '5-0' });
  t.after(() => back.close());
  assert.equal((await back.next()).id, '6-0');
});

test('a slow client with a long way to go: nobody else waits, and it gets everything', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--replay-messages', '50'] });
  const text = 'x'.repeat(2000);
  await Promise.all(Array.from({ length: 12000 }, (_, n) => redis.command('XADD', 'long', '*', 'n', n, 'text', text)));
  const slow = await gateway.stream('/events/stream?stream=long&since=0');
  t.after(() => slow.close());
  slow.keepBytes = false;
  slow.pause();
  const live = await gateway.stream('/events/stream?stream=long');
  t.after(() => live.close());
  await live.seesRetry();
  for (let n = 12000; n < 12200; n++) {
    const id = await redis.command('XADD', 'long', '*', 'n', n, 'text', text);
    assert.equal((await live.next()).id, id);
  }
  assert.ok((await gateway.metric('sluice_sse_backlog_bytes')) < 4 << 20);
  slow.resume();
  assert.deepEqual(listed(await slow.take(12200, 20000)), await entriesOf(redis, 'long'));
  assert.equal(await gateway.metric('sluice_slow_clients_total{action="disconnected"}'), 0);
});

test('trimmed away under a client that is slow to come back: it is told', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--replay-messages', '50'] });
  const text = 'x'.repeat(2000);
  await Promise.all(Array.from({ length: 30000 }, (_, n) => redis.command('XADD', 'long', '*', 'n', n, 'text', text)));
  const stream = await gateway.stream('/events/stream?stream=long&since=0');
  t.after(() => stream.close());
  stream.keepBytes = false;
  stream.pause();
  await until('the client takes no more', async () => {
    const before = await gateway.metric('sluice_stream_replayed_total');
    await new Promise((resolve) => setTimeout(resolve, 200));
    return before > 0 && (await gateway.metric('sluice_stream_replayed_total')) === before;
  });
  await redis.command('XTRIM', 'long', 'MAXLEN', '=', '100');
  const left = await entriesOf(redis, 'long');
  stream.resume();
  const gap = await stream.nextWhere(({ event }) => event === 'gap', 15000);
  assert.deepEqual(JSON.parse(gap.data), { reason: 'trimmed', stream: 'long', first: left[0].split(' ')[0] });
  assert.deepEqual(listed(await stream.take(100)), left);
  const seen = stream.events.filter(({ event }) => event === 'message').map(({ data }) => Number(JSON.parse(data).n));
  assert.deepEqual(seen, Array.from({ length: seen.length - 100 }, (_, n) => n).concat(left.map((entry) => Number(entry.split(' ')[1]))));
});
