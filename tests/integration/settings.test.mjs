// Settings: where they come from, which wins, and how a wrong one is reported.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sluice, startGateway, startPair, startSluice } from '../support/gateway.mjs';
import { freePort, makeFolder, removeFolder } from '../support/processes.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

describe('settings', () => {
  let folder;
  before(() => (folder = makeFolder()));
  after(() => removeFolder(folder));

  function file(name, text) {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  async function check(args, environment) {
    return sluice([...args, '--check'], { environment });
  }

  test('--check of defaults says what would run', async () => {
    const { code, output } = await check([]);
    assert.equal(code, 0, output);
    assert.match(output, /listen.*127\.0\.0\.1:8000/);
    assert.match(output, /redis_url.*localhost:6379/);
  });

  test('flags win over environment over file over default', async () => {
    const config = file('layers.yaml', 'heartbeat: 11s\nretry_min: 2s\nlog_level: warn\n');
    const environment = { SLUICE_HEARTBEAT: '12s', SLUICE_LOG_LEVEL: 'error' };
    const { code, output } = await check(['--config', config, '--log-level', 'debug'], environment);
    assert.equal(code, 0, output);
    assert.match(output, /heartbeat.*12s/);
    assert.match(output, /retry_min.*2s/);
    assert.match(output, /log_level.*debug/);
    assert.match(output, /retry_max.*5s/);
  });

  test('a bad file is reported with its lines, all problems at once', async () => {
    const config = file('bad.yaml', 'listen: 127.0.0.1:8000\nheartbeet: 15s\nretry_min: soon\nbacklog_bytes_max: 1\n');
    const { code, output } = await check(['--config', config]);
    assert.notEqual(code, 0);
    assert.match(output, /bad\.yaml:2\b.*heartbeet/);
    assert.match(output, /heartbeat/, 'it suggests the name that was meant');
    assert.match(output, /bad\.yaml:3\b.*retry_min/);
    assert.match(output, /bad\.yaml:4\b.*backlog_bytes_max/);
  });

  test('a file that is no YAML, or is not there', async () => {
    const broken = await check(['--config', file('broken.yaml', 'listen: [127.0.0.1\n: :\n')]);
    assert.notEqual(broken.code, 0);
    assert.match(broken.output, /broken\.yaml/);
    const absent = await check(['--config', join(folder, 'absent.yaml')]);
    assert.notEqual(absent.code, 0);
    assert.match(absent.output, /absent\.yaml/);
  });

  test('an unknown flag, variable or command stops the start', async () => {
    for (const [args, environment, named] of [
      [['serve', '--heartbeet', '1s'], {}, /heartbeet/],
      [['serve'], { SLUICE_HEARTBEET: '1s' }, /SLUICE_HEARTBEET/],
      [['serve', '--heartbeat', 'never'], {}, /heartbeat/],
      [['serf'], {}, /serf/],
    ]) {
      const { code, output } = await sluice(args, { environment });
      assert.notEqual(code, 0);
      assert.match(output, named);
    }
  });

  test('REDIS_URL, PORT and files for secrets', async () => {
    const secret = file('redis-url', 'redis://:hunter2@cache.example:6380/2\n');
    const { code, output } = await check([], { SLUICE_REDIS_URL_FILE: secret, PORT: '8123' });
    assert.equal(code, 0, output);
    assert.match(output, /8123/);
    assert.match(output, /redis_url/);
    assert.doesNotMatch(output, /hunter2/);
    const plain = await check([], { REDIS_URL: 'unix:///run/redis.sock' });
    assert.equal(plain.code, 0, plain.output);
  });

  test('a URL of Redis that is none', async () => {
    for (const url of ['http://localhost', 'redis://localhost:99999', 'nonsense']) {
      const { code, output } = await check([], { REDIS_URL: url });
      assert.notEqual(code, 0, url);
      assert.match(output, /redis/i);
    }
  });

  test('beyond loopback only when access is said', async () => {
    for (const listen of ['0.0.0.0:8000', ':8000', '[::]:8000']) {
      const { code, output } = await sluice(['serve', '--listen', listen]);
      assert.notEqual(code, 0);
      assert.match(output, /access/);
      assert.match(output, /open/);
    }
    const port = await freePort();
    const allowed = await check(['--listen', `0.0.0.0:${port}`, '--access', 'open']);
    assert.equal(allowed.code, 0, allowed.output);
  });

  test('an address in use is said plainly', async (t) => {
    const { redis, gateway } = await startPair(t);
    const { code, output } = await sluice(['serve', '--listen', `127.0.0.1:${gateway.port}`, '--redis-url', redis.url]);
    assert.notEqual(code, 0);
    assert.match(output, new RegExp(`${gateway.port}.*in use|in use.*${gateway.port}`));
  });

  test('--version and --help', async () => {
    const version = await sluice(['--version']);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^sluice \d+\.\d+\.\d+/);
    const help = await sluice(['--help']);
    assert.equal(help.code, 0);
    for (const word of ['serve', 'publish', 'tail', '--config', '--check', 'heartbeat', 'redis']) assert.ok(help.stdout.includes(word), word);
  });

  test('SIGHUP takes over what can change, and says what cannot', async (t) => {
    const config = file('reload.yaml', 'log_level: info\n');
    const { gateway } = await startPair(t, { flags: ['--config', config] });
    await gateway.get('/healthz?before');
    await gateway.process.sees(/\/healthz/);
    file('reload.yaml', 'log_level: debug\nretry_min: 20ms\nretry_max: 30ms\nlog_format: json\n');
    const from = gateway.log.length;
    gateway.reload();
    await gateway.process.sees(/reload/i, { from });
    await gateway.process.sees(/log_format/, { from });
    const stream = await gateway.stream('/events/stream?channel=x');
    assert.ok((await stream.seesRetry()) <= 30);
    await stream.close();
    file('reload.yaml', 'log_level: loud\n');
    const second = gateway.log.length;
    gateway.reload();
    await gateway.process.sees(/log_level/, { from: second });
    assert.ok(await gateway.isReady(), 'a bad file on reload changes nothing');
  });

  test('a user with a password and a database', async (t) => {
    const redis = await startRedis({ tcp: true });
    t.after(() => redis.stop());
    await redis.command('ACL', 'SETUSER', 'gateway', 'on', '>p@ss:word/', '~*', '&*', '+@all');
    const gateway = await startGateway({ redis: `redis://gateway:p%40ss%3Aword%2F@127.0.0.1:${redis.port}/3` });
    t.after(() => gateway.stop());
    await gateway.publish({ stream: 'in-three', payload: { a: 1 } });
    await redis.command('SELECT', 3);
    assert.equal(await redis.command('XLEN', 'in-three'), 1);
    const clients = await redis.command('CLIENT', 'LIST');
    assert.match(clients, /name=sluice-feed/);
    assert.match(clients, /name=sluice-commands/);
  });

  test('listening on a unix socket', async (t) => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const path = join(folder, 'sluice.sock');
    const running = startSluice(['serve', '--listen', `unix:${path}`, '--redis-url', redis.url]);
    const ask = () =>
      new Promise((resolve) => {
        const request = http.get({ socketPath: path, path: '/readyz' }, (response) => resolve(response.resume().statusCode));
        request.on('error', () => resolve(0));
      });
    await until('ready', async () => (await ask()) === 200);
    assert.equal((await running.stop()).code, 0);
  });
});
