// Secrets: from files of their own, and nowhere to be seen again.

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sluice, startGateway } from '../support/gateway.mjs';
import { makeFolder, removeFolder } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';

const PASSWORD = 'hunter2-of-redis';
const ORIGIN = 'hunter2-of-origin';
const WEBHOOK = 'whsec_aHVudGVyMi1vZi13ZWJob29rLWh1bnRlcjI=';
const SECRETS = [PASSWORD, ORIGIN, WEBHOOK, WEBHOOK.slice('whsec_'.length), 'hunter2'];

let redis, folder;
before(async () => {
  redis = await startRedis({ tcp: true });
  await redis.command('ACL', 'SETUSER', 'gateway', 'on', `>${PASSWORD}`, '~*', '&*', '+@all');
  folder = makeFolder();
});
after(async () => {
  await redis?.stop();
  removeFolder(folder);
});

function file(name, text, mode = 0o600) {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const url = (password = PASSWORD) => `redis://gateway:${password}@127.0.0.1:${redis.port}`;

/** What everybody on the machine sees of a process. */
const commandLine = (pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1');

function hasNone(text, where) {
  for (const secret of SECRETS) assert.ok(!text.includes(secret), `${secret} in ${where}:\n${text.slice(0, 2000)}`);
}

describe('secrets are not told', () => {
  const sinks = () => file('sinks.yml', `sinks:\n  - {name: crm, stream: orders, url: "http://127.0.0.1:9/hook", secret: "${WEBHOOK}", retries: 0, timeout: 200ms}\n`);
  const flags = (address) => ['--config', sinks(), '--redis-url', address, `--origin-url=http://app:${ORIGIN}@127.0.0.1:9/{id}`, '--log-level', 'debug'];

  test('in logs, figures, answers and the list of processes', async (t) => {
    const gateway = await startGateway({ flags: flags(url()) });
    t.after(() => gateway.stop());
    await gateway.publish({ stream: 'orders', payload: { a: 1 } });
    const answers = [await gateway.get('/batches/absent'), await gateway.get('/metrics'), await gateway.get('/'), await gateway.get('/streams'),
      await gateway.get('/metrics', { accept: 'application/json' }), await gateway.get('/readyz')];
    gateway.reload();
    await gateway.process.sees(/settings reloaded/);
    assert.equal(await gateway.isReady(), true, 'it still knows them after a reload');
    const line = commandLine(gateway.pid);
    assert.match(line, /--redis-url/);
    assert.ok(line.includes(`@127.0.0.1:${redis.port}`), 'where it goes is no secret');
    hasNone(line, 'the list of processes');
    for (const { text } of answers) hasNone(text, 'an answer');
    await gateway.stop();
    hasNone(gateway.log, 'the log');
  });

  test('when Redis refuses them', async (t) => {
    const gateway = await startGateway({ flags: flags(url('hunter2-is-wrong')), wait: false });
    t.after(() => gateway.stop());
    await gateway.process.sees(/WRONGPASS|password/i);
    const answer = await gateway.get('/readyz');
    assert.equal(answer.status, 503);
    hasNone(answer.text, 'an answer');
    hasNone(gateway.log, 'the log');
  });

  test('by --check, and by complaints about settings', async () => {
    const good = await sluice(['--check', ...flags(url())]);
    assert.equal(good.code, 0, good.output);
    hasNone(good.output, '--check');
    for (const [args, environment] of [
      [['--redis-url', `redis://gateway:${PASSWORD}@127.0.0.1:port`], {}],
      [[], { SLUICE_REDIS_URL: `http://gateway:${PASSWORD}@127.0.0.1` }],
      [[], { REDIS_URL_FILE: file('wrong', `http://gateway:${PASSWORD}@127.0.0.1\n`) }],
      [['--origin-url', `http://app:${ORIGIN}@127.0.0.1/without`], {}],
    ]) {
      const bad = await sluice(['--check', ...args], { environment });
      assert.notEqual(bad.code, 0);
      hasNone(bad.output, 'a complaint');
    }
  });
});

describe('secrets come from files', () => {
  for (const variable of ['REDIS_URL_FILE', 'SLUICE_REDIS_URL_FILE']) {
    test(`${variable}, with no trace of what is in it`, async (t) => {
      const environment = { [variable]: file('redis_url', `${url()}\n`) };
      const gateway = await startGateway({ environment });
      t.after(() => gateway.stop());
      hasNone(commandLine(gateway.pid) + readFileSync(`/proc/${gateway.pid}/environ`, 'latin1'), 'the process');
      await gateway.stop();
      hasNone(gateway.log, 'the log');
      assert.doesNotMatch(gateway.log, /secret/);
    });
  }

  test('as systemd hands them over', async (t) => {
    const unit = readFileSync(new URL('../../deploy/sluice.service', import.meta.url), 'utf8');
    const [, setting, name] = unit.match(/^#? ?Environment=(SLUICE_REDIS_URL_FILE)=%d\/(\S+)$/m);
    assert.match(unit, new RegExp(`^#? ?LoadCredential=${name}:`, 'm'));
    const gateway = await startGateway({ environment: { [setting]: file(name, url(), 0o400) } });
    t.after(() => gateway.stop());
    assert.ok(await gateway.isReady());
  });

  test('one place for each', async () => {
    const path = file('redis_url', url());
    for (const environment of [{ REDIS_URL: url(), REDIS_URL_FILE: path }, { SLUICE_REDIS_URL: url(), SLUICE_REDIS_URL_FILE: path }]) {
      const { code, output } = await sluice(['--check'], { environment });
      assert.notEqual(code, 0);
      assert.match(output, /keep one/);
      hasNone(output, 'the complaint');
    }
    const both = await sluice(['--check'], { environment: { REDIS_URL: 'redis://elsewhere', SLUICE_REDIS_URL_FILE: path } });
    assert.equal(both.code, 0, both.output);
    assert.match(both.output, /redis_url.*127\.0\.0\.1/);
  });

  test('that are missing, too large or unreadable', async () => {
    for (const [path, wanted] of [[join(folder, 'absent'), /cannot be opened/], [folder, /cannot be (read|opened)/], [file('large', 'x'.repeat(70000)), /larger than/]]) {
      const { code, output } = await sluice(['--check'], { environment: { REDIS_URL_FILE: path } });
      assert.notEqual(code, 0);
      assert.match(output, wanted);
    }
  });

  test('a file that everybody can read is complained about', async (t) => {
    const path = file('redis_url', url(), 0o644);
    const checked = await sluice(['--check'], { environment: { REDIS_URL_FILE: path } });
    assert.equal(checked.code, 0);
    assert.ok(checked.output.includes(`${path}: everybody on this machine can read this secret`), checked.output);
    const gateway = await startGateway({ environment: { SLUICE_REDIS_URL_FILE: path } });
    t.after(() => gateway.stop());
    assert.ok(gateway.log.includes('can read this secret'), gateway.log);
    chmodSync(path, 0o640);
    const from = gateway.log.length;
    gateway.reload();
    await gateway.process.sees(/settings reloaded/, { from });
    assert.ok(!gateway.log.slice(from).includes('can read this secret'));
  });
});
