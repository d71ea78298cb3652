// What one address, one person, and all together may have of the gateway, and how those are told who want more.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { sluice, startGateway } from '../support/gateway.mjs';
import { makeFolder, removeFolder } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { bearer, claims, makeToken, SECRET } from '../support/tokens.mjs';
import { until } from '../support/wait.mjs';

const STREAM = '/events/stream?channel=x';

let redis;
before(async () => (redis = await startRedis()));
after(() => redis.stop());

/** A gateway of its own behind a proxy that is everybody, so that tests choose who calls. */
async function start(t, ...flags) {
  const gateway = await startGateway({ redis, flags: ['--trusted-proxies', '127.0.0.0/8', '--identity-header', 'X-User-Id', ...flags] });
  t.after(() => gateway.stop());
  return gateway;
}

const from = (address, name) => ({ 'x-forwarded-for': address, ...(name ? { 'x-user-id': name } : {}) });

/** Opens a stream and says whether it was refused: the stream, and the reason. */
async function open(gateway, headers, path = STREAM) {
  const stream = await gateway.stream(path, headers);
  assert.equal(stream.status, 200);
  const retry = await stream.seesRetry();
  const isRefused = retry >= 10000;
  if (!isRefused) return { stream };
  await stream.end();
  assert.equal(stream.events.length, 1);
  assert.equal(stream.events[0].event, 'refused');
  return { stream, retry, reason: JSON.parse(stream.events[0].data).reason };
}

const limited = (gateway, limit) => gateway.metric(`sluice_limited_total{limit="${limit}"}`);
const noStreams = (gateway) => until('all streams are gone', async () => (await gateway.metric('sluice_sse_clients')) === 0);

describe('open streams', () => {
  test('of one address; a browser is put off, others get 429', async (t) => {
    const gateway = await start(t, '--streams-per-address-max', '2');
    const first = await open(gateway, from('203.0.113.7'));
    const second = await open(gateway, from('203.0.113.7'));
    assert.ok(!first.reason && !second.reason);
    const retries = new Set();
    for (let i = 0; i < 5; i++) {
      const { reason, retry } = await open(gateway, from('203.0.113.7'));
      assert.equal(reason, 'streams-per-address');
      assert.ok(retry >= 10000 && retry <= 60000, `${retry}`);
      retries.add(retry);
    }
    assert.ok(retries.size > 1, 'jittered');
    const curl = await gateway.get(STREAM, { ...from('203.0.113.7'), accept: '*/*' });
    assert.equal(curl.status, 429);
    assert.match(curl.headers['content-type'], /problem\+json/);
    assert.ok(Number(curl.headers['retry-after']) >= 1);
    assert.match(curl.json().detail, /this address/);
    assert.equal(await limited(gateway, 'streams-per-address'), 6);

    const other = await open(gateway, from('203.0.113.8'));
    assert.ok(!other.reason, 'another address is not concerned');
    await first.stream.close();
    await until('its place is free', async () => {
      const again = await open(gateway, from('203.0.113.7'));
      await again.stream.close();
      return !again.reason;
    });
    await second.stream.close();
    await other.stream.close();
  });

  test('an address is what the proxy says, not what the client says', async (t) => {
    const gateway = await startGateway({ redis, flags: ['--streams-per-address-max', '3'] });
    t.after(() => gateway.stop());
    const streams = [];
    for (let i = 0; i < 3; i++) streams.push(await open(gateway, from(`203.0.113.${i}`, `user-${i}`)));
    assert.ok(streams.every(({ reason }) => !reason));
    assert.equal((await open(gateway, { ...from('203.0.113.9'), forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' })).reason, 'streams-per-address');
    for (const { stream } of streams) await stream.close();
  });

  test('rotating through one network of IPv6 helps nobody', async (t) => {
    const gateway = await start(t, '--streams-per-address-max', '4');
    const streams = [];
    let refused = 0;
    for (let i = 0; i < 40; i++) {
      const { stream, reason } = await open(gateway, from(`2001:db8:0:7:${((i * 7919) % 65536).toString(16)}::${i.toString(16)}`));
      if (reason) refused++;
      else streams.push(stream);
    }
    assert.equal(streams.length, 4);
    assert.equal(refused, 36);
    const neighbour = await open(gateway, from('2001:db8:0:8::1'));
    assert.ok(!neighbour.reason);
    for (const stream of [...streams, neighbour.stream]) await stream.close();
  });

  test('of one person, wherever', async (t) => {
    const gateway = await start(t, '--streams-per-subject-max', '2');
    const streams = [await open(gateway, from('203.0.113.1', 'ann')), await open(gateway, from('203.0.113.2', 'ann'))];
    assert.equal((await open(gateway, from('203.0.113.3', 'ann'))).reason, 'streams-per-subject');
    streams.push(await open(gateway, from('203.0.113.1', 'bob')), await open(gateway, from('203.0.113.1')));
    assert.ok(streams.every(({ reason }) => !reason));
    assert.equal(await limited(gateway, 'streams-per-subject'), 1);
    for (const { stream } of streams) await stream.close();
  });

  test('in all', async (t) => {
    const gateway = await start(t, '--clients-max', '2');
    const streams = [await open(gateway, from('203.0.113.1')), await open(gateway, from('203.0.113.2'))];
    assert.equal((await open(gateway, from('203.0.113.3'))).reason, 'full');
    const curl = await gateway.get(STREAM, { accept: 'application/json' });
    assert.equal(curl.status, 429);
    assert.ok(curl.headers['retry-after']);
    assert.equal(await limited(gateway, 'streams'), 2);
    for (const { stream } of streams) await stream.close();
  });

  test('whatever becomes of a stream, its place is given back once', async (t) => {
    const gateway = await start(t, '--streams-per-address-max', '3', '--stream-rate-max', '0', '--stream-rate-per-address-max', '1000000');
    const headers = from('203.0.113.7');
    const paths = [STREAM, '/batches/b/stream', '/streams/s/groups/g/events?consumer=c', '/events/stream?stream=s&since=5&channel=y'];
    await redis.command('XADD', 's', '*', 'a', '1');
    for (let round = 0; round < 40; round++) {
      const path = paths[round % paths.length];
      const { stream, reason } = await open(gateway, headers, path);
      assert.ok(!reason, `${path} in round ${round}: ${reason}`);
      // What was never a stream has no place: a HEAD, and requests that are wrong.
      assert.equal((await gateway.request('HEAD', path, { headers: { ...headers, accept: 'text/event-stream' } })).status, 200);
      assert.equal((await gateway.get('/events/stream', headers)).status, 400);
      if (path === '/batches/b/stream' && round % 8 === 1) {
        await until('a subscription', () => redis.subscriptions('batch:b'));
        await redis.publish('batch:b', '{"status":"COMPLETED"}');
        await stream.end();
      } else {
        await stream.close();
      }
      await noStreams(gateway);
    }
    // Three places are there, and no fourth.
    const streams = [];
    for (let i = 0; i < 3; i++) streams.push(await open(gateway, headers));
    assert.ok(streams.every(({ reason }) => !reason));
    assert.equal((await open(gateway, headers)).reason, 'streams-per-address');
    for (const { stream } of streams) await stream.close();
  });

  test('many at once from one address: the limit holds exactly, and others are served', async (t) => {
    const gateway = await start(t, '--streams-per-address-max', '50', '--stream-rate-per-address-max', '1000000');
    const all = await Promise.all(Array.from({ length: 300 }, () => open(gateway, from('203.0.113.7'))));
    assert.equal(all.filter(({ reason }) => !reason).length, 50);
    assert.equal(all.filter(({ reason }) => reason === 'streams-per-address').length, 250);
    const other = await open(gateway, from('203.0.113.8'));
    assert.ok(!other.reason);
    await redis.publish('x', 'still there');
    assert.equal((await other.stream.next()).data, 'still there');
    for (const { stream } of [...all, other]) await stream.close();
  });
});

describe('rates', () => {
  test('new streams of one address, and in all', async (t) => {
    const gateway = await start(t, '--stream-rate-per-address-max', '3', '--stream-rate-max', '1000');
    const all = await Promise.all(Array.from({ length: 20 }, () => open(gateway, from('203.0.113.7'))));
    const refused = all.filter(({ reason }) => reason === 'stream-rate-per-address');
    assert.ok(refused.length >= 10, `${refused.length} of 20 in a moment`);
    assert.ok(all.length - refused.length >= 3);
    for (const { stream } of all) await stream.close();
    const later = await gateway.get(STREAM, { ...from('203.0.113.7'), accept: '*/*' }).catch(() => null);
    assert.ok(!later || later.status === 429);
    const crowd = await start(t, '--stream-rate-max', '3');
    const many = await Promise.all(Array.from({ length: 20 }, (_, i) => open(crowd, from(`203.0.113.${i}`))));
    assert.ok(many.filter(({ reason }) => reason === 'stream-rate').length >= 10);
    for (const { stream } of many) await stream.close();
  });

  test('publishing by name and by address', async (t) => {
    const gateway = await start(t, '--publish-rate-per-subject-max', '5', '--publish-rate-per-address-max', '3');
    const send = (headers, count = 1) =>
      gateway.publish(Array.from({ length: count }, () => ({ channel: 'x', payload: 1 })), headers);
    assert.equal((await send(from('203.0.113.1', 'ann'), 5)).status, 200);
    const refused = await send(from('203.0.113.2', 'ann'), 4);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['retry-after'], '1');
    assert.match(refused.json().detail, /this caller/);
    assert.equal((await send(from('203.0.113.1', 'bob'), 5)).status, 200);
    assert.equal((await send(from('203.0.113.1'), 3)).status, 200);
    assert.equal((await send(from('203.0.113.1'), 3)).status, 429);
    assert.equal((await gateway.request('PUT', '/batches/b', { body: { a: 1 }, headers: from('203.0.113.1') })).status, 429);
    assert.equal((await send(from('203.0.113.2'))).status, 200);
    assert.equal(await limited(gateway, 'publish-rate-per-subject'), 1);
    assert.equal(await limited(gateway, 'publish-rate-per-address'), 2);
    await until('the rate allows it again', async () => (await send(from('203.0.113.1', 'ann'))).status === 200);
  });
});

test('publishing by key, wherever it is used', async (t) => {
  const folder = makeFolder();
  t.after(() => removeFolder(folder));
  const made = [];
  for (const name of ['n8n', 'cron']) made.push((await sluice(['key', 'new', '--name', name, '--publish', '*', '--subscribe', '*', ...(name === 'cron' ? ['--admin'] : [])])).stdout.split('\n'));
  const [[n8n], [cron]] = made;
  writeFileSync(`${folder}/keys`, made.map(([, line]) => line).join('\n'), { mode: 0o600 });
  const gateway = await startGateway({ redis, flags: ['--keys-file', `${folder}/keys`, '--publish-rate-per-subject-max', '5', '--streams-per-subject-max', '1', '--trusted-proxies', '127.0.0.0/8'] });
  t.after(() => gateway.stop());
  const send = (key, address, count) =>
    gateway.publish(Array.from({ length: count }, () => ({ channel: 'x', payload: 1 })), { ...bearer(key), ...from(address) });
  assert.equal((await send(n8n, '203.0.113.1', 5)).status, 200);
  const refused = await send(n8n, '203.0.113.2', 5);
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers['retry-after']) >= 1);
  assert.equal((await send(cron, '203.0.113.1', 5)).status, 200, 'another key has its own');
  const text = (await gateway.get('/metrics', bearer(cron))).text;
  assert.match(text, /^sluice_limited_total\{limit="publish-rate-per-subject"\} 1$/m);
  const first = await open(gateway, { ...bearer(n8n), ...from('203.0.113.1') });
  assert.ok(!first.reason);
  assert.equal((await open(gateway, { ...bearer(n8n), ...from('203.0.113.2') })).reason, 'streams-per-subject');
  await first.stream.close();
});

test('topics of one stream', async (t) => {
  const gateway = await start(t, '--topics-per-stream-max', '3');
  for (const [query, expected] of [['channel=a&channel=b&channel=c', 200], ['channel=a&channel=b&channel=c&channel=d', 400],
    ['channel=a&channel=b&pattern=c*&pattern=d*', 400], ['channel=a&channel=b&stream=c&stream=d', 400]]) {
    const stream = await gateway.stream(`/events/stream?${query}`);
    assert.equal(stream.status, expected, query);
    await stream.close();
  }
});

test('limits of addresses spare this machine itself unless they are said', async (t) => {
  const gateway = await startGateway({ redis });
  t.after(() => gateway.stop());
  const streams = await Promise.all(Array.from({ length: 300 }, () => open(gateway, {})));
  assert.ok(streams.every(({ reason }) => !reason), 'more than the rate of an address');
  for (const { stream } of streams) await stream.close();
});

test('limits change on reload; streams that are open stay', async (t) => {
  const folder = makeFolder();
  t.after(() => removeFolder(folder));
  const config = `${folder}/sluice.yml`;
  writeFileSync(config, 'streams_per_address_max: 10\n');
  const gateway = await startGateway({ redis, flags: ['--config', config] });
  t.after(() => gateway.stop());
  const streams = [await open(gateway, {}), await open(gateway, {}), await open(gateway, {})];
  writeFileSync(config, 'streams_per_address_max: 2\n');
  gateway.reload();
  await gateway.process.sees(/settings reloaded/);
  assert.equal((await open(gateway, {})).reason, 'streams-per-address');
  assert.ok(streams.every(({ stream }) => stream.isOpen));
  for (const { stream } of streams) await stream.close();
});

describe('who it was', () => {
  test('is in the audit log, a line for each refusal', async (t) => {
    const gateway = await start(t, '--streams-per-subject-max', '1', '--access-log', 'off', '--log-level', 'warn');
    const first = await open(gateway, from('203.0.113.7', 'ann'));
    await open(gateway, from('203.0.113.8', 'ann'));
    const [line] = await gateway.process.sees(/.*access refused.*/);
    for (const part of ['reason=limited', 'subject=ann', 'peer=203.0.113.8', 'streams-per-subject', 'path=/events/stream'])
      assert.ok(line.includes(part), `${part} in ${line}`);
    assert.equal(await gateway.metric('sluice_access_refused_total{reason="limited"}'), 1);
    await first.stream.close();
  });

  test('and he can be cut off by the name that a trusted proxy gave him', async (t) => {
    const gateway = await start(t);
    const ann = await open(gateway, from('203.0.113.7', 'ann'));
    const bob = await open(gateway, from('203.0.113.7', 'bob'));
    const cut = await gateway.request('DELETE', '/subscribers?subject=ann');
    assert.ok([200, 202, 204].includes(cut.status), cut.text);
    await ann.stream.end();
    await redis.publish('x', 'on');
    assert.equal((await bob.stream.next()).data, 'on');
    await bob.stream.close();
  });
});

test('whose name a token has is limited by it, not by what a header says', async (t) => {
  const gateway = await start(t, '--jwt-secret', SECRET, '--streams-per-subject-max', '1', '--publish-rate-per-subject-max', '2');
  const as = (sub, name, address = '203.0.113.7') => ({ ...from(address, name), ...bearer(makeToken(claims({ subscribe: ['x'], publish: ['x'] }, { sub }))) });
  const first = await open(gateway, as('ann', 'somebody'));
  assert.equal((await open(gateway, as('ann', 'somebody-else', '203.0.113.8'))).reason, 'streams-per-subject');
  const bob = await open(gateway, as('bob', 'somebody'));
  assert.ok(!first.reason && !bob.reason);
  const send = (headers) => gateway.publish([{ channel: 'x', payload: 1 }, { channel: 'x', payload: 2 }], headers);
  assert.equal((await send(as('ann', 'a'))).status, 200);
  assert.equal((await send(as('ann', 'b'))).status, 429);
  assert.equal((await send(as('bob', 'a'))).status, 200);
  // Who may not is told so, and takes nothing from anybody's rate.
  assert.equal((await gateway.publish({ channel: 'y', payload: 1 }, as('cleo'))).status, 403);
  assert.equal((await send(as('cleo'))).status, 200);
  await first.stream.close();
  await bob.stream.close();
});
