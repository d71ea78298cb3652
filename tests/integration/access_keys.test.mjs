// Keys for machines: made by the command, known by their hash, and gone with their line.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sluice, startGateway } from '../support/gateway.mjs';
import { startRedis } from '../support/redis.mjs';
import { bearer } from '../support/tokens.mjs';
import { until } from '../support/wait.mjs';

/** A new key: {key, line}. */
async function newKey(...args) {
  const made = await sluice(['key', 'new', ...args]);
  assert.equal(made.code, 0, made.output);
  const [key, line, ...rest] = made.stdout.split('\n');
  assert.deepEqual(rest, [''], 'the key and its line, and nothing else');
  return { key, line };
}

describe('keys for machines', () => {
  let folder, file, redis, gateway, publisher, reader;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sluice-keys-'));
    file = join(folder, 'keys');
    publisher = await newKey('--publish', 'orders.*', '--publish', 'stream:orders', '--name', 'n8n');
    reader = await newKey('--subscribe', 'news', '--subscribe', 'stream:orders', '--name', 'reader');
    await write(publisher, reader);
    redis = await startRedis();
    gateway = await startGateway({ redis, environment: { SLUICE_KEYS_FILE: file } });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const write = (...keys) => writeFile(file, `# ours\n${keys.map(({ line }) => line).join('\n')}\n`);

  async function reload(...keys) {
    const lines = gateway.log.split('settings reloaded').length;
    await write(...keys);
    gateway.reload();
    await until('the reload', () => gateway.log.split('settings reloaded').length > lines);
  }

  test('a key is random, and its line has the hash alone', async () => {
    assert.match(publisher.key, /^sk_[A-Za-z0-9_-]{43}$/);
    assert.ok(!publisher.line.includes(publisher.key.slice(3)));
    const { name, hash, publish } = JSON.parse(publisher.line);
    assert.equal(name, 'n8n');
    assert.match(hash, /^sha256:[0-9a-f]{64}$/);
    assert.deepEqual(publish, ['orders.*', 'stream:orders']);
    assert.notEqual((await newKey('--admin')).key, (await newKey('--admin')).key);
  });

  test('the command says what is wrong', async () => {
    for (const args of [['new'], ['new', '--publish', 'a*b'], ['new', '--publish'], ['old', '--publish', 'a'], [], ['new', '--admin', '--expires', 'soon']]) {
      const made = await sluice(['key', ...args]);
      assert.equal(made.code, 2, `${args}: ${made.output}`);
      assert.equal(made.stdout, '');
    }
  });

  test('it may what its line says', async () => {
    const order = { channel: 'orders.new', payload: 1 };
    assert.equal((await gateway.publish(order, bearer(publisher.key))).status, 200);
    assert.equal((await gateway.publish({ channel: 'order', payload: 1 }, bearer(publisher.key))).status, 403);
    assert.equal((await gateway.publish(order, bearer(reader.key))).status, 403);
    assert.equal((await gateway.publish(order)).status, 401);
    const stream = await gateway.stream('/events/stream?channel=news', bearer(reader.key));
    assert.equal(stream.status, 200);
    await stream.close();
    assert.equal((await gateway.get('/events/stream?channel=news', bearer(publisher.key))).status, 403);
    assert.equal((await gateway.get('/metrics', bearer(reader.key))).status, 403);
    for (const wrong of [`${publisher.key}x`, publisher.key.slice(0, -1), publisher.key.toLowerCase(), 'sk_', 'sk_x'])
      assert.equal((await gateway.publish(order, bearer(wrong))).status, 401, wrong);
    assert.ok(!gateway.log.includes(publisher.key.slice(3)), 'no key is logged');
  });

  test('publish and tail of the command line read it from a file', async () => {
    const url = ['--url', gateway.origin];
    const keyFile = join(folder, 'publisher');
    await writeFile(keyFile, `${publisher.key}\n`, { mode: 0o600 });
    const refused = await sluice(['publish', 'orders.new', '1', ...url]);
    assert.equal(refused.code, 1);
    assert.match(refused.output, /401/);
    const published = await sluice(['publish', 'orders.new', '1', ...url, '--token-file', keyFile]);
    assert.equal(published.code, 0, published.output);
    assert.equal((await sluice(['tail', 'news', ...url, '--token-file', keyFile])).code, 1, 'it may publish only');
    assert.equal((await sluice(['publish', 'orders.new', '1', ...url, '--token-file', '/dev/null'])).code, 2);
  });

  test('rotation drops nobody, and removal the streams of the key that is gone', async () => {
    const second = await newKey('--subscribe', 'news', '--subscribe', 'stream:orders', '--name', 'reader');
    const first = await gateway.stream('/events/stream?channel=news&stream=orders', bearer(reader.key));
    const worker = await newKey('--consume', 'stream:orders', '--name', 'worker');
    await reload(publisher, reader, second, worker);
    const next = await gateway.stream('/events/stream?channel=news', bearer(second.key));
    const consumer = await gateway.stream('/streams/orders/groups/g/events?consumer=c', bearer(worker.key));
    assert.deepEqual([next.status, consumer.status], [200, 200]);
    await until('a subscription', () => redis.subscriptions('news'));
    await redis.command('PUBLISH', 'news', '1');
    assert.equal((await first.next()).data, '{"channel":"news","data":1}');
    assert.equal((await next.next()).data, '1');

    await reload(publisher, second); // the first is over, and the worker's
    assert.equal((await first.nextWhere(({ event }) => event === 'expired')).data, '{"reason":"revoked"}');
    assert.equal((await consumer.nextWhere(({ event }) => event === 'expired')).data, '{"reason":"revoked"}');
    await first.end();
    await consumer.end();
    assert.equal((await gateway.get('/events/stream?channel=news', bearer(reader.key))).status, 401);
    await redis.command('PUBLISH', 'news', '2');
    assert.equal((await next.next()).data, '2', 'the other key\'s stream goes on');

    const narrowed = { line: second.line.replace('"news", ', '') };
    assert.notEqual(narrowed.line, second.line);
    const { ticket } = (await gateway.request('POST', '/tickets', { headers: bearer(second.key) })).json();
    await reload(publisher, narrowed);
    const late = await gateway.stream(`/events/stream?channel=news&ticket=${ticket}`);
    await late.close();
    assert.equal(late.status, 403, 'a ticket got with it before may no more than the key');
    assert.equal((await next.nextWhere(({ event }) => event === 'expired')).data, '{"reason":"revoked"}');
    await next.end();
    await reload(publisher, reader);
  });

  test('a file that is wrong keeps what was', async () => {
    const lines = gateway.log.split('keys not read anew').length;
    await writeFile(file, `${publisher.line}\n{"name": "x"}\n`);
    gateway.reload();
    await until('a line in the log', () => gateway.log.split('keys not read anew').length > lines);
    assert.match(gateway.log, /Line 2: /);
    assert.equal((await gateway.publish({ channel: 'orders.new', payload: 1 }, bearer(publisher.key))).status, 200);
    const check = await sluice(['serve', '--check'], { environment: { SLUICE_KEYS_FILE: file } });
    assert.equal(check.code, 2);
    assert.match(check.output, /keys_file.*Line 2/);
    await write(publisher, reader);
    const good = await sluice(['serve', '--check'], { environment: { SLUICE_KEYS_FILE: file } });
    assert.match(good.stdout, /key:n8n may publish to orders\.\*, stream:orders/);
  });

  test('a key that expires', async () => {
    const short = await newKey('--subscribe', 'news', '--expires', '2s');
    await reload(publisher, reader, short);
    const stream = await gateway.stream('/events/stream?channel=news', bearer(short.key));
    assert.equal(stream.status, 200);
    await stream.nextWhere(({ event }) => event === 'expired');
    await stream.end();
    const answer = await gateway.get('/events/stream?channel=news', bearer(short.key));
    assert.equal(answer.status, 401);
    assert.match(answer.json().detail, /expired/);
    await reload(publisher, reader);
  });
});
