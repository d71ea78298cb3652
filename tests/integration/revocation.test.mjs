// Cutting a person's streams on all gateways.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Allocations, NO_ALLOCATIONS } from '../support/allocations.mjs';
import { startFaultProxy } from '../support/fault_proxy.mjs';
import { startGateway } from '../support/gateway.mjs';
import { startReceiver } from '../support/receiver.mjs';
import { startRedis } from '../support/redis.mjs';
import { startRelay } from '../support/relay.mjs';
import { bearer, claims, makeToken, SECRET } from '../support/tokens.mjs';
import { until } from '../support/wait.mjs';

const ADMIN = bearer(makeToken(claims({ admin: true }, { sub: 'root' })));
const as = (sub) => bearer(makeToken(claims({ subscribe: ['*'], publish: ['*'] }, { sub })));
const REVOKED = JSON.stringify({ reason: 'revoked' });
const isExpired = ({ event }) => event === 'expired';

const revoke = (gateway, subject, headers = ADMIN) =>
  gateway.request('DELETE', `/subscribers?subject=${encodeURIComponent(subject)}`, { headers });

describe('revocation on two gateways', () => {
  let redis, one, two;
  before(async () => {
    redis = await startRedis();
    const environment = { SLUICE_JWT_SECRET: SECRET };
    [one, two] = await Promise.all([startGateway({ redis, environment }), startGateway({ redis, environment })]);
    await until('both to listen', async () => (await redis.subscriptions('sluice:control')) === 2);
  });
  after(async () => {
    await one?.stop();
    await two?.stop();
    await redis?.stop();
  });

  test('ends all streams of one person, and nobody else’s', async () => {
    const cut = await Promise.all([
      one.stream('/events/stream?channel=a', as('ann')),
      two.stream('/events/stream?channel=a&pattern=b*', as('ann')),
      two.stream('/batches/1/stream', as('ann')),
    ]);
    const stays = await Promise.all([one.stream('/events/stream?channel=a', as('anna')), two.stream('/events/stream?channel=a', as('bob'))]);
    await Promise.all([...cut, ...stays].map((stream) => stream.seesRetry()));
    const answer = await revoke(one, 'ann');
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json(), { subject: 'ann', streams: 3, gateways: 2, complete: true });
    for (const stream of cut) {
      assert.equal((await stream.nextWhere(isExpired)).data, REVOKED);
      await stream.end();
    }
    await redis.publish('a', '1');
    for (const stream of stays) {
      assert.match((await stream.next()).data, /1/);
      assert.ok(stream.isOpen);
      await stream.close();
    }
    assert.match(one.log, /admin act subject=root action=revoke .*detail=ann count=3/);
    const { text } = await two.get('/metrics', ADMIN);
    assert.match(text, /^sluice_streams_revoked_total 2$/m);
    assert.deepEqual((await revoke(two, 'ann')).json(), { subject: 'ann', streams: 0, gateways: 2, complete: true });
  });

  test('says who has how many', async () => {
    const streams = await Promise.all([
      one.stream('/events/stream?channel=a', as('eve')),
      two.stream('/events/stream?channel=a', as('eve')),
      two.stream('/events/stream?channel=a', as('Zoë "x"')),
    ]);
    await Promise.all(streams.map((stream) => stream.seesRetry()));
    const answer = await one.get('/subscribers', ADMIN);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json(), {
      streams: 3,
      unnamed: 0,
      subjects: [{ subject: 'eve', streams: 2 }, { subject: 'Zoë "x"', streams: 1 }],
      subject_count: 2,
      gateways: 2,
      complete: true,
    });
    const cut = await revoke(two, 'Zoë "x"');
    assert.equal(cut.json().streams, 1, cut.text);
    await streams[2].end();
    for (const stream of streams) await stream.close();
  });

  test('is for administrators', async () => {
    for (const [headers, status] of [[{}, 401], [as('ann'), 403]]) {
      assert.equal((await revoke(one, 'bob', headers)).status, status);
      assert.equal((await one.get('/subscribers', headers)).status, status);
    }
    assert.equal((await one.request('DELETE', '/subscribers', { headers: ADMIN })).status, 400);
    assert.equal((await revoke(one, 'x'.repeat(257))).status, 400);
    assert.equal((await one.request('POST', '/subscribers', { headers: ADMIN })).status, 405);
  });

  test('a ticket got before is none any more, one got behind it is', async () => {
    const ticket = async () => (await one.request('POST', '/tickets', { headers: as('kim') })).json().ticket;
    const before = await ticket();
    assert.equal((await revoke(two, 'kim')).status, 200);
    assert.equal((await two.get(`/events/stream?channel=a&ticket=${before}`)).status, 401);
    const stream = await two.stream(`/events/stream?channel=a&ticket=${await ticket()}`);
    assert.equal(stream.status, 200);
    await stream.seesRetry();
    assert.equal((await revoke(one, 'kim')).json().streams, 1, 'a stream by ticket is its subject’s');
    await stream.end();
  });

  test('nobody listens to it, fakes it, or makes the gateway deaf to it', async () => {
    for (const name of ['sluice:control', 'sluice:fence:x', '__redis__:invalidate'])
      assert.equal((await one.get(`/events/stream?channel=${name}`, as('spy'))).status, 422, name);
    assert.equal((await one.publish({ channel: 'sluice:control', payload: 'x' }, as('spy'))).status, 422);
    const spy = await two.stream('/events/stream?pattern=*', as('spy'));
    await until('the pattern', async () => (await redis.command('PUBSUB', 'NUMPAT')) === 1);
    assert.equal((await revoke(one, 'nobody')).json().gateways, 2);
    for (const garbage of ['', 'revoke', 'revoke x', 'list', 'revoke 0123456789abcdef 1-1', 'revoke 0123456789abcdef x ann', 'list 0123456789abcdef x', '\0\xff'])
      await redis.publish('sluice:control', garbage);
    await redis.publish('open', 'end');
    assert.match((await spy.next()).data, /"channel":"open"/);
    await spy.close();
    assert.ok((await one.isReady()) && (await two.isReady()));
  });

  test('without Redis it says that it did not happen', async (t) => {
    const own = await startRedis();
    let alone;
    t.after(async () => {
      await alone?.stop();
      await own.stop();
    });
    alone = await startGateway({ redis: own, environment: { SLUICE_JWT_SECRET: SECRET } });
    await own.kill();
    await until('the gateway to notice', async () => !(await alone.isReady()));
    for (const answer of [await revoke(alone, 'ann'), await alone.get('/subscribers', ADMIN)]) {
      assert.equal(answer.status, 503);
      assert.ok(Number(answer.headers['retry-after']) > 0);
    }
  });
});

test('a gateway that was cut off from Redis cuts the streams when it is back', async (t) => {
  const redis = await startRedis({ tcp: true });
  const relay = await startRelay(redis.port);
  let near, far;
  t.after(async () => {
    await near?.stop();
    await far?.stop();
    await relay.close();
    await redis.stop();
  });
  const environment = { SLUICE_JWT_SECRET: SECRET };
  near = await startGateway({ redis, environment });
  far = await startGateway({ redis: `redis://127.0.0.1:${relay.port}`, environment });
  await until('both to listen', async () => (await redis.subscriptions('sluice:control')) === 2);
  const stream = await far.stream('/events/stream?channel=a', as('ann'));
  const stays = await far.stream('/events/stream?channel=a', as('bob'));
  await stream.seesRetry();
  relay.part();
  await until('one to listen', async () => (await redis.subscriptions('sluice:control')) === 1);
  const answer = (await revoke(near, 'ann')).json();
  assert.deepEqual(answer, { subject: 'ann', streams: 0, gateways: 1, complete: true });
  assert.ok(stream.isOpen);
  relay.join();
  assert.equal((await stream.nextWhere(isExpired, 20000)).data, REVOKED);
  await stream.end();
  assert.ok(stays.isOpen);
  await stays.close();
});

test('a gateway that was cut off reads all that it missed, however much is kept', async (t) => {
  const redis = await startRedis({ tcp: true });
  const relay = await startRelay(redis.port);
  let gateway;
  t.after(async () => {
    await gateway?.stop();
    await relay.close();
    await redis.stop();
  });
  gateway = await startGateway({ redis: `redis://127.0.0.1:${relay.port}`, environment: { SLUICE_JWT_SECRET: SECRET } });
  await until('it to listen', async () => (await redis.subscriptions('sluice:control')) === 1);
  const stream = await gateway.stream('/events/stream?channel=a', as('ann'));
  await stream.seesRetry();
  relay.part();
  await until('nobody to listen', async () => (await redis.subscriptions('sluice:control')) === 0);
  // MAXLEN ~ 1000 keeps up to a node more than that.
  const add = 'for i = 1, 1050 do redis.call("XADD", KEYS[1], "*", "subject", i < 1050 and "bob" or "ann") end';
  await redis.command('EVAL', add, 1, 'sluice:revocations');
  relay.join();
  assert.equal((await stream.nextWhere(isExpired, 20000)).data, REVOKED);
  await stream.end();
});

test('a revocation for which memory is too short is done a moment later', { skip: NO_ALLOCATIONS }, async (t) => {
  const redis = await startRedis();
  const allocations = new Allocations(t);
  let gateway;
  t.after(async () => {
    await gateway?.stop();
    await redis.stop();
  });
  gateway = await startGateway({ redis, flags: ['--workers', '2'], environment: { SLUICE_JWT_SECRET: SECRET, ...allocations.environment } });
  await until('it to listen', async () => (await redis.subscriptions('sluice:control')) === 1);
  const id = () => redis.command('XADD', 'sluice:revocations', '*', 'subject', 'ann');
  const isShort = () => gateway.log.includes('memory was short for a revocation');
  for (let number = 1; number < 100 && !isShort(); number++) {
    const streams = [];
    for (let i = 0; i < 8; i++) streams.push(await gateway.stream('/events/stream?channel=a', as('ann')));
    await Promise.all(streams.map((stream) => stream.seesRetry()));
    allocations.failNext(number);
    await redis.publish('sluice:control', `revoke 0123456789abcdef ${await id()} ann`);
    for (const stream of streams) {
      assert.equal((await stream.nextWhere(isExpired, 5000)).data, REVOKED, `when allocation ${number} fails`);
      await stream.end();
    }
    allocations.heal();
  }
  assert.ok(isShort(), 'no allocation that failed was one of those');
});

test('what is revoked while a gateway loses Redis twice in a row is not overlooked', async (t) => {
  const redis = await startRedis();
  const proxy = await startFaultProxy(t, redis.socket);
  const environment = { SLUICE_JWT_SECRET: SECRET };
  let near, far;
  t.after(async () => {
    await near?.stop();
    await far?.stop();
    await redis.stop();
  });
  near = await startGateway({ redis, environment });
  far = await startGateway({ redis: proxy.url, environment, flags: ['--redis-timeout', '60s'] });
  const listening = (count) => until(`${count} to listen`, async () => (await redis.subscriptions('sluice:control')) === count);
  await listening(2);
  const stream = await far.stream('/events/stream?channel=a', as('ann'));
  await stream.seesRetry();
  const feed = proxy.connectionsOf('feed')[0];
  proxy.stall({ link: 'commands', to: 'gateway' });
  let asked = false;
  proxy.intercept('XREVRANGE', () => void (asked = true));
  proxy.intercept('XRANGE', () => void (asked = true));
  proxy.cut({ link: 'feed' });
  await until('it asks what it missed', () => asked);
  assert.notEqual(proxy.connectionsOf('feed')[0], feed);
  proxy.refuse(); // the answer is on its way, and Redis is lost again
  proxy.cut({ link: 'feed' });
  await listening(1);
  assert.equal((await revoke(near, 'ann')).status, 200);
  proxy.isRefusing = false;
  await listening(2);
  proxy.heal();
  assert.equal((await stream.nextWhere(isExpired, 20000)).data, REVOKED);
  await stream.end();
});

test('what is revoked is not overlooked when Redis is busy just as it is asked', async (t) => {
  const redis = await startRedis();
  const proxy = await startFaultProxy(t, redis.socket);
  const environment = { SLUICE_JWT_SECRET: SECRET };
  const near = await startGateway({ redis, environment });
  t.after(() => redis.stop());
  t.after(() => near.stop());
  const far = await startGateway({ redis: proxy.url, environment });
  t.after(() => far.stop());
  const listening = (count) => until(`${count} to listen`, async () => (await redis.subscriptions('sluice:control')) === count);
  await listening(2);
  const stream = await far.stream('/events/stream?channel=a', as('ann'));
  await stream.seesRetry();
  let asked = 0;
  proxy.intercept('XRANGE', (command, connection) => {
    if (asked++ > 0) return;
    connection.answer('-BUSY Redis is busy running a script.\r\n');
    return 'drop';
  });
  proxy.refuse();
  proxy.cut({ link: 'feed' });
  await listening(1);
  assert.equal((await revoke(near, 'ann')).status, 200);
  proxy.isRefusing = false;
  await listening(2);
  assert.equal((await stream.nextWhere(isExpired, 10000)).data, REVOKED);
  await stream.end();
});

/** A gateway that asks an application, to which every session is u1's for as long as `session.isKnown`. */
async function startWithApplication(t) {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const session = { isKnown: true };
  const application = await startReceiver(t, () => (session.isKnown ? { status: 200, text: JSON.stringify({ subject: 'u1' }) } : 401));
  const gateway = await startGateway({ redis, environment: { SLUICE_JWT_SECRET: SECRET, SLUICE_ACCESS_AUTHORIZE_URL: application.url } });
  t.after(() => gateway.stop());
  return { gateway, session };
}

test('a session that the application knows no more does not come back', async (t) => {
  const { gateway, session } = await startWithApplication(t);
  const cookie = { cookie: 'sid=1', 'sec-fetch-site': 'same-origin' };
  const stream = await gateway.stream('/events/stream?channel=a', cookie);
  assert.equal(stream.status, 200);
  await stream.seesRetry();
  session.isKnown = false;
  const again = await gateway.stream('/events/stream?channel=a', cookie);
  assert.equal(again.status, 200, 'its yes is kept for a while');
  await again.seesRetry();
  assert.equal((await revoke(gateway, 'u1')).json().streams, 2);
  assert.equal((await stream.nextWhere(isExpired)).data, REVOKED);
  await stream.end();
  await again.end();
  assert.equal((await gateway.get('/events/stream?channel=a', cookie)).status, 401);
});

test('no stream that was opened by an answer of before outlives the revocation', async (t) => {
  const { gateway, session } = await startWithApplication(t);
  const open = (i) => gateway.stream('/events/stream?channel=a', { cookie: `sid=${i % 10}`, 'sec-fetch-site': 'same-origin' });
  let ended = 0;
  for (let round = 0; round < 5; round++) {
    session.isKnown = true;
    const opening = Array.from({ length: 40 }, (_, i) => open(10 * round + i));
    await Promise.race(opening);
    session.isKnown = false;
    const revoked = revoke(gateway, 'u1');
    const late = Array.from({ length: 10 }, (_, i) => open(i));
    assert.equal((await revoked).status, 200);
    // What came after the application knew nobody may still be told of before, and then ends, too.
    for (const stream of await Promise.all([...opening, ...late])) {
      if (stream.status === 200) {
        assert.equal((await stream.nextWhere(isExpired)).data, REVOKED);
        ended++;
      }
      await stream.end();
    }
    assert.equal((await gateway.get('/subscribers', ADMIN)).json().streams, 0);
    await revoke(gateway, 'u1');
  }
  assert.ok(ended > 0);
});
