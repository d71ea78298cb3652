// One-time tickets: got with a token, taken out of Redis by one stream, whatever gateway it comes to.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startGateway } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { bearer, claims, makeToken, SECRET, seconds } from '../support/tokens.mjs';
import { until } from '../support/wait.mjs';

const ADMIN = bearer(makeToken(claims({ admin: true }, { sub: 'root' })));
const reader = (more) => bearer(makeToken(claims({ subscribe: ['batch:*', 'news', 'stream:mail.*'], publish: ['news'] }, more)));

describe('tickets', () => {
  let redis, one, two;
  before(async () => {
    redis = await startRedis();
    const environment = { SLUICE_JWT_SECRET: SECRET, SLUICE_TICKET_TTL: '2s' };
    [one, two] = await Promise.all([startGateway({ redis, environment }), startGateway({ redis, environment })]);
  });
  after(async () => {
    await one?.stop();
    await two?.stop();
    await redis?.stop();
  });

  /** A ticket, and how long it is good for. */
  async function getTicket(gateway = one, { headers = reader(), body } = {}) {
    const answer = await gateway.request('POST', '/tickets', { headers, body });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['cache-control'], 'no-store');
    return answer.json().ticket;
  }

  async function status(gateway, path) {
    const stream = await gateway.stream(path);
    await stream.close();
    return stream.status;
  }

  const figure = async (gateway, name) => {
    const { text } = await gateway.get('/metrics', ADMIN);
    return Number(text.split('\n').find((line) => line.startsWith(`${name} `)).slice(name.length + 1));
  };

  test('a ticket opens one stream, on any gateway', async () => {
    const answer = await one.request('POST', '/tickets', { headers: reader() });
    assert.equal(answer.json().expires_in, 2);
    assert.match(answer.json().ticket, /^[A-Za-z0-9_-]{32}$/);
    const path = `/events/stream?channel=news&ticket=${answer.json().ticket}`;
    const stream = await two.stream(path);
    assert.equal(stream.status, 200);
    await until('the subscription', async () => (await redis.subscriptions('news')) > 0);
    await redis.publish('news', '1');
    assert.equal((await stream.next()).data, '1');
    await stream.close();
    for (const gateway of [one, two]) {
      const again = await gateway.get(path);
      assert.equal(again.status, 401);
      assert.match(again.json().detail, /ticket is spent/);
    }
    assert.equal(await figure(one, 'sluice_tickets_issued_total'), 1);
    assert.equal(await figure(two, 'sluice_tickets_taken_total'), 1);
    assert.equal(await figure(two, 'sluice_tickets_refused_total'), 1);
  });

  test('of many who come with it at once, to two gateways, one gets the stream', async () => {
    for (let round = 0; round < 5; round++) {
      const ticket = await getTicket();
      const statuses = await Promise.all(
        Array.from({ length: 10 }, (_, i) => status(i % 2 ? one : two, `/events/stream?channel=news&ticket=${ticket}`)));
      assert.equal(statuses.filter((code) => code === 200).length, 1, String(statuses));
      assert.equal(statuses.filter((code) => code === 401).length, 9, String(statuses));
    }
  });

  test('late it is none', async () => {
    const ticket = await getTicket();
    assert.equal((await redis.command('KEYS', 'sluice:ticket:*')).length, 1);
    await until('the ticket to be over', async () => (await redis.command('KEYS', 'sluice:ticket:*')).length === 0);
    assert.equal(await status(one, `/events/stream?channel=news&ticket=${ticket}`), 401);
  });

  test('it reads what its caller may read, and does nothing else', async () => {
    assert.equal(await status(one, `/batches/42/stream?ticket=${await getTicket()}`), 200);
    assert.equal(await status(one, `/events/stream?stream=mail.new&ticket=${await getTicket()}`), 200);
    assert.equal(await status(one, `/events/stream?channel=other&ticket=${await getTicket()}`), 403);
    assert.equal(await status(one, `/events/stream?channel=mail.new&ticket=${await getTicket()}`), 403);
    const ticket = await getTicket();
    const elsewhere = [
      ['POST', `/events/publish?ticket=${ticket}`, { channel: 'news', payload: 1 }],
      ['POST', `/tickets?ticket=${ticket}`],
      ['GET', `/batches/42?ticket=${ticket}`],
      ['PUT', `/batches/42?ticket=${ticket}`, { status: 'PROCESSING' }],
      ['GET', `/metrics?ticket=${ticket}`],
      ['DELETE', `/subscribers?subject=ann&ticket=${ticket}`],
    ];
    for (const [method, path, body] of elsewhere)
      assert.equal((await one.request(method, path, { body })).status, 401, `${method} ${path}`);
    const asBearer = await one.get('/events/stream?channel=news', bearer(ticket));
    assert.equal(asBearer.status, 401);
    assert.equal(await status(one, `/events/stream?channel=news&ticket=${ticket}`), 200, 'and none of them spent it');
  });

  test('it may be narrower than its caller, and never wider', async () => {
    const ticket = await getTicket(one, { body: { subscribe: ['batch:42'] } });
    assert.equal(await status(one, `/batches/43/stream?ticket=${ticket}`), 403);
    const another = await getTicket(one, { body: { subscribe: ['batch:42'] } });
    assert.equal(await status(one, `/batches/42/stream?ticket=${another}`), 200);
    for (const wider of [['*'], ['batch:42', 'secret'], ['stream:*'], ['batch*'], ['stream:news']]) {
      const answer = await one.request('POST', '/tickets', { headers: reader(), body: { subscribe: wider } });
      assert.equal(answer.status, 403, String(wider));
    }
    const wrong = [{ publish: ['news'] }, { subscribe: 'news' }, { subscribe: [] }, { subscribe: [1] }, { subscribe: ['a'], admin: true }, '[]', '{', 'null'];
    for (const body of wrong) {
      const answer = await one.request('POST', '/tickets', { headers: { ...reader(), 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body) });
      assert.equal(answer.status, 400, JSON.stringify(body));
    }
  });

  test('without a credential, or with a spent one, there is no ticket', async () => {
    assert.equal((await one.request('POST', '/tickets')).status, 401);
    const over = bearer(makeToken(claims({ subscribe: ['*'] }, { exp: seconds(-3600) })));
    assert.equal((await one.request('POST', '/tickets', { headers: over })).status, 401);
    assert.equal((await one.get('/tickets', reader())).status, 405);
  });

  test('what it opens ends when the token ends that it was got with', async () => {
    const ticket = await getTicket(one, { headers: reader({ exp: seconds(2) }) });
    const stream = await two.stream(`/events/stream?channel=news&ticket=${ticket}`);
    assert.equal(stream.status, 200);
    const event = await stream.nextWhere(({ event: name }) => name === 'expired', 90000);
    assert.deepEqual(JSON.parse(event.data), { reason: 'expired' });
    await stream.end();
  });

  test('what is none is refused without asking Redis', async () => {
    for (const ticket of ['', 'x', 'A'.repeat(31), 'A'.repeat(33), 'A'.repeat(10000), '%2A'.repeat(32), 'A'.repeat(31) + '%0A'])
      assert.ok([400, 401].includes(await status(one, `/events/stream?channel=news&ticket=${ticket}`)), ticket);
    assert.equal(await status(one, `/events/stream?channel=news&ticket=${'A'.repeat(32)}`), 401);
  });

  test('neither logs nor Redis have it', async () => {
    const ticket = await getTicket();
    assert.equal(await status(one, `/events/stream?channel=secret&ticket=${ticket}`), 403);
    const kept = await getTicket();
    const keys = await redis.command('KEYS', '*');
    assert.ok(keys.some((key) => key.startsWith('sluice:ticket:')));
    for (const key of keys) {
      assert.ok(!key.includes(kept));
      if (key.startsWith('sluice:ticket:')) assert.ok(!(await redis.command('GET', key)).includes(kept));
    }
    for (const gateway of [one, two]) assert.ok(!gateway.log.includes(ticket) && !gateway.log.includes('ticket='));
    assert.match(one.log, /access refused reason=not-granted subject=ann .*topic=secret/);
  });
});

test('without Redis there are no tickets, and none is honoured', async (t) => {
  const redis = await startRedis();
  let gateway;
  t.after(async () => {
    await gateway?.stop();
    await redis.stop();
  });
  gateway = await startGateway({ redis, environment: { SLUICE_JWT_SECRET: SECRET } });
  const { ticket } = (await gateway.request('POST', '/tickets', { headers: reader() })).json();
  await redis.kill();
  await until('the gateway to notice', async () => !(await gateway.isReady()));
  const refused = await gateway.request('POST', '/tickets', { headers: reader() });
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.headers['retry-after']) > 0);
  // An EventSource would never come back from a 503.
  const stream = await gateway.stream(`/events/stream?channel=news&ticket=${ticket}`);
  assert.equal(stream.status, 200);
  assert.equal((await stream.next()).event, 'refused');
  assert.ok((await stream.seesRetry()) >= 10000);
  await stream.end();
});

test('where access is open, pages that use tickets work as well', async (t) => {
  const redis = await startRedis();
  let gateway;
  t.after(async () => {
    await gateway?.stop();
    await redis.stop();
  });
  gateway = await startGateway({ redis });
  const { ticket } = (await gateway.request('POST', '/tickets')).json();
  const stream = await gateway.stream(`/events/stream?channel=news&ticket=${ticket}`);
  assert.equal(stream.status, 200);
  await stream.close();
});
