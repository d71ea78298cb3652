// Secrets: from files of their own, and nowhere to be seen again.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sluice, startGateway } from '../support/gateway.mjs';
import { makeFolder, removeFolder } from '../support/processes.mjs';
import { startReceiver } from '../support/receiver.mjs';
import { startRedis } from '../support/redis.mjs';
import { bearer, claims, makeToken, seconds, unsignedToken } from '../support/tokens.mjs';
import { until } from '../support/wait.mjs';

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
  rmSync(path, { force: true }); // who is not root cannot write to one that is only to be read
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

/** What callers are known by, and what that is checked with: secrets of settings, of files, and of each request. */
describe('credentials are not told', () => {
  const secrets = {
    jwtSecret: 'jwt-hunter3-secret-that-is-long-enough', jwksUser: 'jwks-hunter3-user', jwksQuery: 'jwks-hunter3-query',
    applicationUser: 'application-hunter3-user', applicationQuery: 'application-hunter3-query', applicationAnswer: 'answer-hunter3-of-application',
    cookie: 'session-hunter3-cookie', basic: Buffer.from('ann:basic-hunter3').toString('base64'), opaque: 'opaque-hunter3-bearer',
    webhook: 'webhook-hunter3-secret', hook: 'path-hunter3-of-webhook', hookHeader: 'header-hunter3-of-webhook', redisPassword: PASSWORD,
  };
  const sign = (more, options) => makeToken(claims({ subscribe: ['news'], publish: ['*'], admin: true }, more), { key: secrets.jwtSecret, ...options });
  const parts = (token) => token.split('.').filter((part) => part.length > 20 && part !== sign().split('.')[0]);

  /** Everything a gateway emits: {place: text}. */
  const places = [];
  const place = (name, text) => places.push([name, text]);
  function check() {
    for (const [where, text] of places)
      for (const [what, secret] of Object.entries(secrets)) {
        const at = text.indexOf(secret);
        assert.ok(at < 0, `${what} in ${where}: ${text.slice(Math.max(0, at - 300), at + 100)}`);
      }
  }

  test('by anything that a gateway emits, whatever goes wrong', async (t) => {
    places.length = 0;
    const made = (await sluice(['key', 'new', '--name', 'n8n', '--publish', 'orders.*'])).stdout.split('\n');
    [secrets.machineKey] = made;
    secrets.machineKeyHash = /[0-9a-f]{64}/.exec(made.join('\n'))?.[0] ?? assert.fail(made.join('\n'));
    const keysFile = file('keys', made.slice(1).join('\n'));
    const application = await startReceiver(t, () => 500);
    const receiver = await startReceiver(t, () => 500);
    const config = file('access.yml', `sinks:\n  - {name: crm, stream: orders, url: "${receiver.url}/${secrets.hook}", secret: ${secrets.webhook}, headers: {X-Key: ${secrets.hookHeader}}, retries: 0, timeout: 200ms}\n`);
    const authorize = new URL(application.url);
    [authorize.username, authorize.password, authorize.search] = ['sluice', secrets.applicationUser, `?key=${secrets.applicationQuery}`];
    const flags = ['--config', config, '--log-level', 'debug', '--jwt-secret', secrets.jwtSecret, `--jwt-jwks-url=http://sluice:${secrets.jwksUser}@127.0.0.1:9/jwks?key=${secrets.jwksQuery}`,
      '--access-authorize-url', String(authorize), '--access-authorize-timeout', '300ms', '--access-authorize-ttl', '0s', '--access-authorize-refusal-ttl', '0s', '--audit-lines-per-second', '10000'];
    const environment = { SLUICE_KEYS_FILE: keysFile, SLUICE_REDIS_URL_FILE: file('redis_url', url()) };
    const gateway = await startGateway({ flags, environment });
    t.after(() => gateway.stop());
    const from = { origin: gateway.origin, 'sec-fetch-site': 'same-origin' };
    const ask = async (method, path, headers, body) => {
      const answer = await gateway.request(method, path, { headers: { ...from, ...headers }, body });
      place(`${method} ${path.split('?')[0]} ${answer.status}`, JSON.stringify(answer));
      return answer;
    };
    const good = sign();
    const tokens = { good, expired: sign({ exp: seconds(-100) }), forged: sign({}, { key: 'another secret, quite as long as the first' }), unknownKey: sign({}, { header: { kid: 'hunter3-key-id' } }),
      notGranted: sign({ sluice: { subscribe: ['nothing'] } }), wrong: sign({ sluice: { subscribe: ['a*b'] } }), none: unsignedToken(claims({})) };
    for (const [name, token] of Object.entries(tokens)) parts(token).forEach((part, i) => (secrets[`token ${name} ${i}`] = part));

    // Tickets: got, spent, spent again, and one that never was.
    const { ticket } = (await gateway.request('POST', '/tickets', { headers: bearer(good) })).json();
    Object.assign(secrets, { ticket, noTicket: 'ticket-hunter3-that-never-was' });
    for (const one of [ticket, ticket, secrets.noTicket]) {
      const stream = await gateway.stream(`/events/stream?channel=news&ticket=${one}`);
      await stream.close();
    }
    // Every credential, everywhere, and in places where none belongs.
    for (const token of Object.values(tokens))
      for (const [method, path, body] of [['GET', '/batches/none'], ['GET', '/metrics'], ['GET', '/'], ['GET', '/streams'], ['GET', '/subscribers'], ['DELETE', '/subscribers?subject=ann'],
        ['POST', '/events/publish', { channel: 'news', payload: 1 }], ['POST', '/tickets', 'no json']]) {
        if (method === 'POST' && path === '/tickets' && token === good) continue; // its answer is a ticket
        await ask(method, path, bearer(token), body);
      }
    await ask('GET', `/batches/none?access_token=${good}&token=${good}&ticket=${ticket}`, {});
    await ask('GET', '/batches/none', { cookie: `sluice_token=${good}; sluice_token=${tokens.expired}` });
    await ask('GET', '/batches/none', { cookie: `sluice_token=${good}`, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' });
    await ask('POST', '/events/publish', bearer(secrets.machineKey), { channel: 'news', payload: 1 });
    await ask('POST', '/events/publish', bearer(secrets.machineKey), { channel: 'orders.new', payload: 1 });
    const noKey = (secrets.noMachineKey = `${secrets.machineKey.slice(0, -4)}AAAA`);
    await ask('POST', '/events/publish', bearer(noKey), { channel: 'orders.new', payload: 1 });
    // The application: fails, lies, and does not answer; it is shown what callers bring.
    const credentials = [{ cookie: `sid=${secrets.cookie}` }, { authorization: `Basic ${secrets.basic}` }, { authorization: `Bearer ${secrets.opaque}` }];
    const answers = [{ status: 500, text: secrets.applicationAnswer }, { status: 200, text: secrets.applicationAnswer }, { status: 200, text: `{"${secrets.applicationAnswer}": 1}` },
      { status: 302, headers: { location: `http://127.0.0.1:9/${secrets.applicationAnswer}` } }, { reset: true }, { hang: true }, { status: 403, text: secrets.applicationAnswer }, { status: 204 }];
    for (const [i, answer] of answers.entries()) {
      application.decide = () => answer;
      for (const headers of credentials) await ask('GET', `/batches/none-${i}`, headers); // a failure is not asked again at once
    }
    assert.ok(application.requests.length >= answers.length * credentials.length, `asked ${application.requests.length} times`);
    assert.ok(application.requests.some(({ headers }) => headers.cookie?.includes(secrets.cookie)), 'it was shown the cookie');
    // A webhook that fails.
    await until('the webhook is called', async () => {
      const { status, text } = await ask('POST', '/events/publish', bearer(good), { stream: 'orders', payload: { a: 1 } });
      assert.equal(status, 200, text);
      return receiver.requests.length > 0;
    });
    await ask('GET', '/streams', bearer(good));
    // A reload of good keys, and of a file with a key where its hash should be.
    writeFileSync(keysFile, `${secrets.machineKey} name=n8n publish=orders.*\n`);
    gateway.reload();
    await gateway.process.sees(/keys not read anew/);
    // Redis does not keep a ticket, nor know of one.
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    await ask('POST', '/tickets', bearer(good));
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await ask('GET', '/metrics', bearer(good));
    await ask('GET', '/metrics', { ...bearer(good), accept: 'application/json' });
    place('the list of processes', commandLine(gateway.pid));
    await gateway.stop();
    place('the log', gateway.log);
    for (const wanted of [/reason=bad-credential/, /reason=expired/, /reason=bad-ticket/, /reason=foreign-origin/, /reason=application/, /reason=undecided/, /reason=not-granted/, /admin act/])
      assert.match(gateway.log, wanted, `${wanted} was tried`);
    check();
  });

  test('by --check and by complaints', async () => {
    places.length = 0;
    const [key, ...line] = (await sluice(['key', 'new', '--name', 'n8n', '--publish', 'orders.*'])).stdout.split('\n');
    Object.assign(secrets, { key, keyHash: /[0-9a-f]{64}/.exec(line.join('\n'))[0] });
    const keysFile = file('keys', line.join('\n'));
    const urls = { SLUICE_JWT_JWKS_URL: `http://sluice:${secrets.jwksUser}@127.0.0.1:9/jwks?key=${secrets.jwksQuery}`, SLUICE_ACCESS_AUTHORIZE_URL: `http://sluice:${secrets.applicationUser}@127.0.0.1:9/may?key=${secrets.applicationQuery}` };
    const good = await sluice(['--check'], { environment: { SLUICE_JWT_SECRET: secrets.jwtSecret, SLUICE_KEYS_FILE: keysFile, ...urls } });
    assert.equal(good.code, 0, good.output);
    assert.match(good.output, /n8n may publish/);
    place('--check', good.output);
    const { privateKey } = generateKeyPairSync('ed25519');
    secrets.privateKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).split('\n')[1];
    for (const [args, environment] of [
      [[], { SLUICE_JWT_SECRET: secrets.jwtSecret, SLUICE_ACCESS: 'open' }],
      [['--listen', ':8000'], { SLUICE_JWT_SECRET: 'jwt-hunter3-short' }],
      [[], { SLUICE_JWT_JWKS_URL: `ftp://sluice:${secrets.jwksUser}@127.0.0.1/jwks?key=${secrets.jwksQuery}` }],
      [['--access-authorize-url', `app/${secrets.applicationQuery}`], {}],
      [[], { SLUICE_KEYS_FILE: file('key_itself', `${key}\n`) }],
      [[], { SLUICE_KEYS_FILE: file('key_and_rights', `${secrets.keyHash} name=n8n pub=orders.*\n`) }],
      [[], { SLUICE_JWT_KEY_FILE: file('private.pem', privateKey.export({ type: 'pkcs8', format: 'pem' })) }],
      [[], { SLUICE_JWT_KEY_FILE: file('not.json', `{"keys": "${secrets.jwtSecret}`) }],
      [[], { SLUICE_SINKS: secrets.webhook }],
    ]) {
      const bad = await sluice(['--check', ...args], { environment });
      assert.notEqual(bad.code, 0, JSON.stringify([args, environment]));
      place(`a complaint about ${args.length ? args[0] : Object.keys(environment)}`, bad.output);
    }
    secrets.short = 'jwt-hunter3-short';
    check();
  });

  test('by the commands that are clients, who take them from files alone', async () => {
    const token = sign();
    const { code, output } = await sluice(['publish', 'news', '1', '--token', token]);
    assert.notEqual(code, 0);
    assert.match(output, /--token/);
    assert.ok(!output.includes(token), output);
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
