// Compressed streams: what everybody gets is the same, whoever asked for what; and real clients read it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import { startGateway, startPair } from '../support/gateway.mjs';
import { runProcess, startProcess } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { HAS_SANITIZER } from '../support/vitals.mjs';
import { until, within } from '../support/wait.mjs';

const GZIP = { 'accept-encoding': 'gzip' };
const words = (count) => 'a few words again and again, '.repeat(count);

/** A stream read by Node's own fetch: what it decodes, and whether it saw an end. */
async function fetchStream(url) {
  const response = await fetch(url);
  let text = '';
  const whole = (async () => {
    const decoder = new TextDecoder();
    for await (const piece of response.body) text += decoder.decode(piece, { stream: true });
    return text;
  })();
  whole.catch(() => {});
  return { response, whole, sees: (part) => until(`${part} by fetch`, () => text.includes(part)) };
}

/** A gateway, redis and a channel with a client on it. */
async function openPair(gateway, redis, path, channel) {
  const plain = await gateway.stream(path);
  const gzip = await gateway.stream(path, GZIP);
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.equal(gzip.headers['content-encoding'], 'gzip');
  await Promise.all([plain.seesRetry(), gzip.seesRetry()]);
  if (channel) await until('a subscription', () => redis.subscriptions(channel));
  return { plain, gzip };
}

describe('compression', () => {
  let redis, gateway;
  before(async () => {
    redis = await startRedis();
    gateway = await startGateway({ redis, flags: ['--compress-min-bytes', '500'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
  });

  const publishBatch = async (id, ...payloads) => {
    await until('a subscription', () => redis.subscriptions(`batch:${id}`));
    for (const payload of payloads) await redis.publish(`batch:${id}`, JSON.stringify(payload));
  };

  test('is for those who ask, and says so', async () => {
    const cases = [
      [undefined, undefined],
      ['', undefined],
      ['gzip', 'gzip'],
      ['gzip, deflate, br, zstd', 'gzip'],
      ['br', undefined],
      ['*', 'gzip'],
      ['*;q=0', undefined],
      ['gzip;q=0, *', undefined],
      ['identity, gzip;q=0.5', undefined],
      ['identity;q=0.2, gzip;q=0.5', 'gzip'],
    ];
    for (const [asked, expected] of cases) {
      const headers = asked === undefined ? {} : { 'accept-encoding': asked };
      for (const path of ['/events/stream?channel=ask', '/batches/ask/stream']) {
        const stream = await gateway.stream(path, headers);
        assert.equal(stream.headers['content-encoding'], expected, `for ${asked}`);
        assert.equal(stream.headers.vary, 'Accept-Encoding');
        await stream.seesRetry();
        await stream.close();
        const head = await gateway.request('HEAD', path, { headers });
        assert.equal(head.headers['content-encoding'], expected);
      }
    }
  });

  test('curl --compressed and fetch read each event as it comes, and the end of a batch', async () => {
    const curl = startProcess('curl', ['-sN', '--compressed', '-w', '%{errormsg}', `${gateway.origin}/batches/real/stream`]);
    const fetched = await fetchStream(`${gateway.origin}/batches/real/stream`);
    assert.equal(fetched.response.headers.get('content-encoding'), 'gzip');
    const strict = await gateway.stream('/batches/real/stream', GZIP);
    for (let step = 1; step <= 3; step++) {
      const small = `"progress":${step}`;
      await publishBatch('real', { progress: step }, { progress: step, message: words(100) });
      await curl.sees(new RegExp(`${small},"message":"a few`));
      await fetched.sees(`${small},"message":"a few`);
    }
    await publishBatch('real', { status: 'COMPLETED', message: words(50) });
    const { code } = await curl.ends();
    assert.equal(code, 0);
    const text = await within(5000, 'end for fetch', fetched.whole);
    assert.match(text, /event: complete\ndata: \{"status":"COMPLETED"/);
    await strict.end();
    assert.equal(strict.problem, null, 'with the check of all that was sent');
    assert.equal(strict.events.at(-1).event, 'complete');
    const body = (whole) => whole.slice(whole.indexOf('\n\n'));
    assert.ok(curl.output.includes(body(text)), 'the same for both');
  });

  test('the body is a gzip file by the letter', async () => {
    const { stdout } = await new Promise((resolve, reject) => {
      const request = http.get(`${gateway.origin}/batches/file/stream`, { agent: false, headers: GZIP }, (response) => {
        const pieces = [];
        response.on('data', (piece) => pieces.push(piece));
        response.on('end', () => resolve(runProcess('gzip', ['-dc'], { input: Buffer.concat(pieces) })));
        publishBatch('file', { progress: 1, message: words(40) }, { status: 'PARTIAL' }).catch(reject);
      });
      request.on('error', reject);
    });
    assert.match(stdout, /event: complete\n/);
  });

  test('a piece is deflated once in each thread, whatever the number of its readers', async () => {
    const threads = await gateway.metric('sluice_workers');
    const streams = await Promise.all(Array.from({ length: 20 }, () => gateway.stream('/events/stream?channel=once', GZIP)));
    await Promise.all(streams.map((stream) => stream.seesRetry()));
    const before = await gateway.metric('sluice_sse_deflated_total');
    const sent = await gateway.metric('sluice_sse_compressed_bytes_total');
    const said = await gateway.metric('sluice_sse_uncompressed_bytes_total');
    for (let number = 0; number < 10; number++) {
      await redis.publish('once', words(100));
      await Promise.all(streams.map((stream) => stream.next()));
    }
    const deflated = (await gateway.metric('sluice_sse_deflated_total')) - before;
    assert.ok(deflated >= 10 && deflated <= 10 * threads, `${deflated} times for 10 pieces by ${threads} threads`);
    const saved = (await gateway.metric('sluice_sse_uncompressed_bytes_total')) - said - ((await gateway.metric('sluice_sse_compressed_bytes_total')) - sent);
    assert.ok(saved > 20 * 10 * words(100).length * 0.9, `saved ${saved}`);
    await redis.publish('once', 'small');
    await Promise.all(streams.map((stream) => stream.next()));
    assert.equal((await gateway.metric('sluice_sse_deflated_total')) - before, deflated, 'small ones are not');
    await Promise.all(streams.map((stream) => stream.close()));
  });

  test('plain and compressed clients of all kinds have the same list, also when they come back', { timeout: 60000 }, async () => {
    const kinds = [
      '/events/stream?channel=mix.a',
      '/events/stream?channel=mix.a&channel=mix.b',
      '/events/stream?channel=mix.a&channel=mix.b&format=named',
      '/events/stream?pattern=mix.*',
      '/events/stream?channel=mix.a&pattern=mix.*',
      '/events/stream?stream=mix-stream',
      '/events/stream?stream=mix-stream&channel=mix.b',
    ];
    const pairs = await Promise.all(kinds.map((path) => openPair(gateway, redis, path)));
    await until('subscriptions', () => redis.subscriptions('mix.b'));
    const comingBack = kinds.map(() => []);
    const back = await Promise.all(kinds.map((path) => gateway.stream(path, GZIP)));
    await Promise.all(back.map((stream) => stream.seesRetry()));
    const lastId = kinds.map(() => '');
    /* A block with only an id, or the last event: where it would come back to. */
    const leave = async (index) => {
      comingBack[index].push(...back[index].events);
      lastId[index] = back[index].lastEventId || lastId[index];
      await back[index].close();
    };
    for (let round = 0; round < 12; round++) {
      const publishing = [];
      for (let number = 0; number < 25; number++) {
        const text = JSON.stringify({ n: round * 25 + number, text: words((number * 7 + round) % 60) });
        publishing.push(redis.publish(number % 3 ? 'mix.a' : 'mix.b', text));
        if (number % 4 === 0) publishing.push(redis.command('XADD', 'mix-stream', '*', 'n', round * 25 + number, 'text', words(number)));
      }
      await Promise.all(publishing);
      const index = round % kinds.length;
      if (round % 2) await leave(index);
      if (round % 2) back[index] = await gateway.stream(kinds[index], { ...GZIP, ...(lastId[index] ? { 'last-event-id': lastId[index] } : {}) });
    }
    await redis.publish('mix.a', 'last');
    await redis.publish('mix.b', 'last');
    await redis.command('XADD', 'mix-stream', '*', 'n', 'last');
    const ofA = 12 * 16 + 1, ofB = 12 * 9 + 1, ofStream = 12 * 7 + 1;
    const counts = [ofA, ofA + ofB, ofA + ofB, ofA + ofB, ofA + ofB, ofStream, ofStream + ofB];
    /* Who comes back to streams and channels is given the one's before the other's. */
    const byTopic = (events) => events.map(({ data }) => data).sort((one, other) => one.includes('"stream"') - other.includes('"stream"'));
    for (const [index, { plain, gzip }] of pairs.entries()) {
      const expected = await plain.take(counts[index], 20000);
      const list = await gzip.take(counts[index], 20000);
      assert.deepEqual(list, expected, kinds[index]);
      assert.ok(gzip.bytesReceived < plain.bytesReceived, kinds[index]);
      const rest = counts[index] - comingBack[index].length;
      const all = [...comingBack[index], ...(await back[index].take(rest, 20000))];
      if (index < kinds.length - 1) assert.deepEqual(all, expected, `${kinds[index]}, coming back`);
      else assert.deepEqual(byTopic(all), byTopic(expected), `${kinds[index]}, coming back`);
      await Promise.all([plain.close(), gzip.close(), back[index].close()]);
      assert.equal(gzip.events.length, counts[index]);
    }
  });

  test('history of a stream is deflated once in each thread for all who read it', async () => {
    const threads = await gateway.metric('sluice_workers');
    await Promise.all(Array.from({ length: 1000 }, (_, n) => redis.command('XADD', 'old', '*', 'n', n, 'text', words(10))));
    const before = await gateway.metric('sluice_sse_deflated_total');
    const { plain, gzip } = await openPair(gateway, redis, '/events/stream?stream=old&since=0');
    const others = await Promise.all(Array.from({ length: 5 }, () => gateway.stream('/events/stream?stream=old&since=0', GZIP)));
    const expected = await plain.take(1000, 10000);
    for (const stream of [gzip, ...others]) assert.deepEqual(await stream.take(1000, 10000), expected);
    const pages = (await gateway.metric('sluice_sse_deflated_total')) - before;
    assert.ok(pages <= 20 * threads, `${pages} for 1000 entries`);
    assert.ok(gzip.bytesReceived < plain.bytesReceived / 4, `${gzip.bytesReceived} of ${plain.bytesReceived}`);
    await Promise.all([plain, gzip, ...others].map((stream) => stream.close()));
  });

  test('large payloads', { timeout: 60000 }, async () => {
    const { plain, gzip } = await openPair(gateway, redis, '/events/stream?channel=large', 'large');
    plain.keepBytes = gzip.keepBytes = false;
    const noise = Buffer.from(Uint32Array.from({ length: 200000 }, (_, n) => (n * 2654435761) >>> 0).buffer).toString('base64');
    for (const text of [words(40000), noise, `${words(100)}${'\n'}${words(150000)}`]) {
      await redis.publish('large', text);
      const [one, other] = await Promise.all([plain.next(20000), gzip.next(20000)]);
      assert.equal(one.data, text);
      assert.deepEqual(other, one);
    }
    await Promise.all([plain.close(), gzip.close()]);
  });

  test('a worker of a group gets its entries as they are: nobody shares them', async () => {
    const stream = await gateway.stream('/streams/jobs/groups/g/events?consumer=a', GZIP);
    assert.equal(stream.headers['content-encoding'], undefined);
    await stream.seesRetry();
    await redis.command('XADD', 'jobs', '*', 'text', words(100));
    assert.equal(JSON.parse((await stream.next()).data).data.text, words(100));
    await stream.close();
  });
});

test('slow compressed clients are bounded, and get whole events', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--backlog-bytes-max', '8MiB', '--replay-bytes', '64KiB', '--compress-min-bytes', '1MiB'] });
  const viewer = await gateway.stream('/batches/b/stream', GZIP);
  const slow = await gateway.stream('/events/stream?channel=x', GZIP);
  viewer.keepBytes = slow.keepBytes = false;
  await Promise.all([viewer.seesRetry(), slow.seesRetry()]);
  await until('subscriptions', async () => (await redis.subscriptions('batch:b')) && (await redis.subscriptions('x')));
  viewer.pause();
  slow.pause();
  const filler = () => randomBytes(12 * 1024).toString('base64'); // what compresses well may all fit into the kernel's buffers
  const conflated = 'sluice_slow_clients_total{action="conflated"}';
  let sent = 0;
  const both = async () => (await gateway.metric(conflated)) > 0 && (await gateway.metric('sluice_sse_clients')) === 1;
  for (; sent < 4000 && !(await both()); sent += 100)
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => (n % 2 ? redis.publish('batch:b', JSON.stringify({ n: sent + (n >> 1), filler: filler() })) : redis.publish('x', `${sent + (n >> 1)} ${filler()}`))),
    );
  assert.ok(await both(), `not bounded after ${sent} messages`);
  viewer.resume();
  slow.resume();
  await redis.publish('batch:b', JSON.stringify({ n: sent, status: 'COMPLETED' }));
  await Promise.all([viewer.end(20000), slow.end(20000)]);
  assert.equal(viewer.problem, null, 'its end has the check of what it got');
  assert.equal(viewer.events.at(-1).event, 'complete');
  const steps = viewer.events.filter(({ event }) => event === 'progress').map(({ data }) => JSON.parse(data).n);
  assert.ok(steps.every((n, index) => index === 0 || n > steps[index - 1]), 'no step back, nothing twice');
  assert.ok(steps.length < sent && steps.at(-1) === sent);
  const numbers = slow.events.map(({ data }) => parseInt(data, 10));
  assert.deepEqual(numbers, Array.from({ length: numbers.length }, (_, n) => n), 'an unbroken run of whole events');
});

test('draining ends compressed streams properly', async (t) => {
  const { redis, gateway } = await startPair(t);
  const stream = await gateway.stream('/events/stream?channel=x', GZIP);
  await stream.seesRetry();
  await until('a subscription', () => redis.subscriptions('x'));
  await redis.publish('x', words(200));
  await stream.next();
  await gateway.stop();
  await stream.end();
  assert.equal(stream.problem, null);
  assert.equal(stream.retries.length, 2, 'when to come back');
});

test('compress: off, and heartbeats when it is on', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--heartbeat', '100ms', '--compress', 'off'] });
  const off = await gateway.stream('/events/stream?channel=x', GZIP);
  assert.equal(off.headers['content-encoding'], undefined);
  assert.equal(off.headers.vary, undefined);
  await off.close();
  const other = await startGateway({ redis, flags: ['--heartbeat', '100ms'] });
  t.after(() => other.stop());
  const on = await other.stream('/events/stream?channel=x', GZIP);
  await on.seesComment(3);
  assert.equal(on.problem, null);
  await on.close();
});

test('an idle compressed client costs no more than any', { timeout: 60000 }, async (t) => {
  if (HAS_SANITIZER) return t.skip('measures memory');
  const { gateway } = await startPair(t);
  const anonymous = () => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))[1]) * 1024;
  const open = (count) => Promise.all(Array.from({ length: count }, () => gateway.stream('/events/stream?channel=idle', GZIP)));
  const first = await open(200);
  await until('they are in', async () => (await gateway.metric('sluice_sse_clients')) === 200);
  const before = anonymous();
  const more = await open(1500);
  await until('they are in', async () => (await gateway.metric('sluice_sse_clients')) === 1700);
  await until('memory comes back', () => (anonymous() - before) / 1500 < 1000, 10000);
  await Promise.all([...first, ...more].map((stream) => stream.close()));
});
