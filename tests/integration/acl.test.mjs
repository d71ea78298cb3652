// Redis with least rights: deploy/redis/users.acl to the letter. `./dev acl` runs the whole suites under its commands.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ROOT, startGateway } from '../support/gateway.mjs';
import { makeFolder, removeFolder } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

describe('the user of deploy/redis/users.acl', () => {
  let redis, gateway, folder;
  before(async () => {
    folder = makeFolder();
    const text = readFileSync(join(ROOT, 'deploy/redis/users.acl'), 'utf8');
    assert.match(text, /^user default off$/m);
    assert.match(text, /^user sluice on >change-me /m);
    const acl = join(folder, 'users.acl');
    writeFileSync(acl, text.replace('user default off', 'user default on nopass ~* &* +@all').replace('>change-me', '>changed'));
    redis = await startRedis({ args: ['--aclfile', acl] });
    gateway = await startGateway({ redis: redis.url.replace('unix://', 'unix://sluice:changed@'), flags: ['--snapshot-ttl', '60s', '--snapshot-ttl-idle', '60s'] });
  });
  after(async () => {
    await gateway?.stop();
    await redis?.stop();
    removeFolder(folder);
  });

  test('is enough for batches: stored, watched, invalidated, ended', async () => {
    assert.equal((await gateway.request('PUT', '/batches/b', { body: { progress: 1 } })).status, 200);
    const viewer = await gateway.stream('/batches/b/stream');
    assert.deepEqual(JSON.parse((await viewer.next()).data), { progress: 1 });
    await redis.publish('batch:b', '{"progress":2}');
    assert.deepEqual(JSON.parse((await viewer.next()).data), { progress: 2 });
    await gateway.get('/batches/b');
    await redis.command('SET', 'batch:progress:b', '{"progress":3}');
    await until('a SET of a worker is seen', async () => (await gateway.get('/batches/b')).json().progress === 3);
    await redis.publish('batch:b', '{"status":"COMPLETED"}');
    await viewer.end();
    assert.equal((await gateway.request('DELETE', '/batches/b')).status, 204);
  });

  test('is enough for events: live, kept, published once, replayed, consumed', async () => {
    const live = await gateway.stream('/events/stream?pattern=live:*');
    await until('a subscription', async () => (await redis.command('PUBSUB', 'NUMPAT')) >= 1).catch((problem) => assert.fail(`${problem.message}\n${gateway.log}`));
    const sale = { event: 'sale', critical: true, payload: { a: 1 }, id: 'once' };
    const receipt = (await gateway.publish(sale)).json();
    assert.match(receipt.id, /^\d+-\d+$/);
    assert.equal((await gateway.publish(sale)).json().duplicate, true);
    assert.equal(JSON.parse((await live.next()).data).channel, 'live:sale');
    await live.close();
    const replay = await gateway.stream('/events/stream?stream=events:sale&since=0');
    assert.equal((await replay.next()).id, receipt.id);
    await replay.close();
    const last = await gateway.stream('/events/stream?stream=events:sale&since=1');
    assert.equal((await last.next()).id, receipt.id);
    await last.close();
    const worker = await gateway.stream('/streams/events:sale/groups/g/events?consumer=c&start=0');
    const entry = await worker.nextWhere(({ id }) => id === receipt.id);
    assert.ok(entry);
    const acknowledged = await gateway.request('POST', '/streams/events:sale/groups/g/ack', { body: { ids: [receipt.id] } });
    assert.equal(acknowledged.status, 200, acknowledged.text);
    await worker.close();
    const report = (await gateway.get('/streams/events:sale')).json();
    assert.equal(report.length, 1, JSON.stringify(report));
  });

  test('has nothing that it does not need, and complains about nothing', async () => {
    assert.doesNotMatch(gateway.log, /NOPERM|ACL SETUSER|warn/i);
    const client = await redis.connect();
    await client.command('AUTH', 'sluice', 'changed');
    for (const command of [
      ['KEYS', '*'], ['SCAN', '0'], ['FLUSHALL'], ['CONFIG', 'GET', '*'], ['ACL', 'LIST'], ['CLIENT', 'LIST'], ['CLIENT', 'KILL', 'ID', '1'],
      ['SHUTDOWN', 'NOSAVE'], ['MONITOR'], ['INFO'], ['HKEYS', 'events:sale'], ['RENAME', 'events:a', 'events:b'],
      ['GET', 'session:of-somebody'], ['SET', 'other', '1'], ['XADD', 'orders', '*', 'a', '1'], ['PUBLISH', 'private', '1'],
      ['SUBSCRIBE', 'private'], ['PSUBSCRIBE', '*'], ['EVAL', "return redis.call('GET', 'session:of-somebody')", '0'], ['SCRIPT', 'FLUSH'],
    ]) await assert.rejects(client.command(...command), /NOPERM|ACL failure|No permissions|can't run|can't access/i, command.join(' '));
    await client.close();
    const refused = await gateway.publish({ channel: 'private', payload: 1 });
    assert.ok(refused.status >= 500 || refused.status === 403, `${refused.status}`);
  });
});
