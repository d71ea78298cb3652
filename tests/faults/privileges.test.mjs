// It needs no privileges, writes nowhere, and keeps secrets to itself.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fault } from '../support/fault.mjs';
import { ROOT, startGateway, sluice } from '../support/gateway.mjs';
import { makeFolder, removeFolder, runProcess } from '../support/processes.mjs';
import { startReceiver } from '../support/receiver.mjs';
import { startRedis } from '../support/redis.mjs';
import { until } from '../support/wait.mjs';

async function serves(gateway, redis) {
  const stream = await gateway.stream('/events/stream?channel=x');
  await stream.seesRetry();
  const receipt = await gateway.publish({ channel: 'x', stream: 's', payload: { a: 1 } });
  assert.equal(receipt.status, 200);
  await until('it arrives', () => stream.events.length > 0);
  assert.equal((await gateway.get('/')).status, 200);
  assert.equal((await gateway.request('PUT', '/batches/b', { body: { progress: 1 } })).status, 200);
  await stream.close();
  assert.ok(await redis.subscriptions('x') <= 1);
}

/** bwrap stays, and has the gateway for a child. */
function childOf(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  assert.match(children, /^\d+$/);
  return Number(children);
}

fault('no root, no capability, no file system to write to', { expected: 'serves as ever', needs: ['bwrap'] }, async (t, report) => {
  const redis = await startRedis({ tcp: true });
  // Nothing but what there is to read, as nobody, without capabilities, and no way to get any (bwrap sets no_new_privs).
  const under = ['bwrap', '--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev', '--unshare-user', '--uid', '65534', '--gid', '65534', '--unshare-ipc', '--unshare-uts', '--cap-drop', 'ALL', '--die-with-parent'];
  const gateway = await startGateway({ redis, under });
  t.after(() => gateway.stop().finally(() => redis.stop()));
  await serves(gateway, redis);
  const pid = childOf(gateway.pid);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  for (const line of [/^NoNewPrivs:\s+1$/m, /^CapEff:\s+0+$/m, /^CapBnd:\s+0+$/m]) assert.match(status, line);
  // What bwrap began ends as it should, and bwrap with it.
  process.kill(pid, 'SIGTERM');
  assert.equal((await gateway.process.ends()).code, 0, gateway.log);
  report.leavesNothing();
  report.saw('streams, publishing, batches and the page as user 65534 in a file system that is read-only, CapEff and CapBnd 0, NoNewPrivs 1');
});

/** The system calls that groups such as @system-service stand for. */
async function callsOf(groups) {
  const calls = new Set();
  for (const group of groups) {
    const { code, stdout, output } = await runProcess('systemd-analyze', ['--no-pager', 'syscall-filter', group]);
    assert.equal(code, 0, output);
    const entries = stdout.split('\n').map((line) => line.trim()).filter((line) => /^@?[a-z_0-9-]+$/.test(line) && line !== group);
    for (const entry of entries.filter((entry) => !entry.startsWith('@'))) calls.add(entry);
    for (const call of await callsOf(entries.filter((entry) => entry.startsWith('@')))) calls.add(call);
  }
  return calls;
}

fault('the system calls that the unit allows', { expected: 'it makes no others', needs: ['systemd-analyze', 'strace'] }, async (t, report) => {
  report.leavesNothing();
  const unit = readFileSync(join(ROOT, 'deploy/sluice.service'), 'utf8');
  const filters = [...unit.matchAll(/^SystemCallFilter=(~?)(.*)$/gm)];
  const allowed = await callsOf(filters.filter(([, not]) => !not).flatMap(([, , groups]) => groups.split(' ')));
  for (const call of await callsOf(filters.filter(([, not]) => not).flatMap(([, , groups]) => groups.split(' ')))) allowed.delete(call);
  assert.ok(allowed.size > 100, `${allowed.size} are allowed`);
  const folder = makeFolder();
  t.after(() => removeFolder(folder));
  const trace = join(folder, 'trace');
  const redis = await startRedis({ tcp: true });
  t.after(() => redis.stop());
  // -D: the gateway is our child, and strace its grandchild.
  const gateway = await startGateway({ redis, under: ['strace', '-D', '-f', '-qq', '-o', trace] });
  await serves(gateway, redis);
  gateway.reload();
  await gateway.process.sees(/settings reloaded/);
  await gateway.stop();
  const made = new Set([...readFileSync(trace, 'latin1').matchAll(/^\d+ +([a-z_0-9]+)\(/gm)].map(([, call]) => call));
  assert.ok(made.size > 20 && made.has('epoll_wait'), [...made].join(' '));
  const forbidden = [...made].filter((call) => !allowed.has(call));
  report.saw(`${made.size} system calls from start to end, ${forbidden.length} of them not among the ${allowed.size} that the unit allows`);
  assert.deepEqual(forbidden, []);
});

fault('the systemd unit', { expected: 'the unit is valid, and exposes little', needs: ['systemd-analyze'] }, async (t, report) => {
  report.leavesNothing();
  const folder = makeFolder();
  t.after(() => removeFolder(folder));
  // The binary of the unit need not be installed for its file to be checked.
  const unit = readFileSync(join(ROOT, 'deploy/sluice.service'), 'utf8').replaceAll('/usr/local/bin/sluice', '/bin/true');
  const file = join(folder, 'sluice.service');
  writeFileSync(file, unit);
  const verified = await runProcess('systemd-analyze', ['verify', '--man=no', file], { milliseconds: 20000 });
  assert.equal(verified.code, 0, verified.output);
  assert.doesNotMatch(verified.output, /sluice\.service/, verified.output);
  const { output } = await runProcess('systemd-analyze', ['security', '--offline=true', file], { milliseconds: 20000 });
  const [, exposure] = /Overall exposure level[^:]*: ([0-9.]+)/.exec(output) ?? assert.fail(output);
  assert.ok(Number(exposure) <= 1.5, `exposure ${exposure}`);
  report.saw(`systemd-analyze verify: nothing; security: exposure ${exposure} of 10`);
});

const SECRETS = {
  redis: 'redis-secret-9f3a', user: 'redis-user-5521', webhook: 'webhook-secret-77aa', query: 'query-secret-1c9d', header: 'bearer-secret-4e4e',
  origin: 'origin-secret-8b8b', token: 'client-token-6d6d', cookie: 'client-cookie-3a3a', jwt: 'jwt-secret-2f2f-that-is-long-enough-for-it',
  jwks: 'jwks-secret-7e7e', authorizer: 'authorizer-secret-5c5c', machine: 'sk_machine-secret-0b0b', ticket: 'ticket-secret-9d9d',
};

fault('secrets in the settings and in requests', { expected: 'never in logs, metrics, answers or process arguments' }, async (t, report) => {
  const redis = await startRedis({ tcp: true });
  const receiver = await startReceiver(t, () => 200);
  // Lets in whoever brings the cookie of this test, and fails whoever brings another.
  const application = await startReceiver(t, ({ headers }) => (headers.cookie?.includes(SECRETS.cookie) ? 204 : 500));
  const folder = makeFolder();
  t.after(() => removeFolder(folder));
  await redis.command('ACL', 'SETUSER', SECRETS.user, 'on', `>${SECRETS.redis}`, '~*', '&*', '+@all');
  const config = join(folder, 'sluice.yml');
  writeFileSync(config, `sinks:
  - name: hook
    stream: s
    url: "${receiver.url}?key=${SECRETS.query}"
    secret: ${SECRETS.webhook}
    headers: {Authorization: "Bearer ${SECRETS.header}"}
`);
  const environment = {
    REDIS_URL: `redis://${SECRETS.user}:${SECRETS.redis}@127.0.0.1:${redis.port}`,
    SLUICE_ORIGIN_URL: `http://user:${SECRETS.origin}@127.0.0.1:9/batches/{id}?key=${SECRETS.origin}`,
  };
  const flags = ['--config', config, '--log-level', 'debug'];
  const gateway = await startGateway({ environment, flags });
  t.after(() => gateway.stop().finally(() => redis.stop()));
  // One that knows its callers, beside the one that is open.
  const known = {
    ...environment,
    SLUICE_JWT_SECRET: SECRETS.jwt,
    SLUICE_JWT_JWKS_URL: `http://user:${SECRETS.jwks}@127.0.0.1:9/jwks?key=${SECRETS.jwks}`,
    SLUICE_ACCESS_AUTHORIZE_URL: `http://user:${SECRETS.authorizer}@127.0.0.1:${new URL(application.url).port}/may?key=${SECRETS.authorizer}`,
  };
  const guarded = await startGateway({ environment: known, flags: ['--log-level', 'debug'] });
  t.after(() => guarded.stop());
  const answers = [];
  const ask = async (method, path, options) => answers.push(JSON.stringify(await gateway.request(method, path, options)));
  for (const headers of [{ authorization: `Bearer ${SECRETS.machine}` }, { authorization: `Bearer ${SECRETS.token}` }, { authorization: `Bearer a.${SECRETS.token}.b` },
    { cookie: `session=${SECRETS.cookie}` }, { cookie: `session=${SECRETS.authorizer}` }])
    for (const path of ['/batches/none', '/metrics', '/subscribers', `/events/stream?channel=a&ticket=${SECRETS.ticket}`])
      answers.push(JSON.stringify(await guarded.request('GET', path, { headers })));
  assert.ok(application.requests.some(({ headers }) => headers.cookie?.includes(SECRETS.cookie)), 'the application saw the cookie');
  const credentials = { authorization: `Bearer ${SECRETS.token}`, cookie: `session=${SECRETS.cookie}` };
  for (const path of ['/', '/metrics', '/healthz', '/readyz', '/batches/none', '/streams', '/streams/s', '/nothing', '/batches/%zz'])
    await ask('GET', path, { headers: credentials });
  await ask('GET', '/metrics', { headers: { ...credentials, accept: 'application/json' } });
  await ask('POST', '/events/publish', { body: { stream: 's', payload: { a: 1 } }, headers: credentials });
  await ask('POST', '/events/publish', { body: 'no json', headers: credentials });
  await ask('GET', `/events/stream?ticket=${SECRETS.token}&access_token=${SECRETS.token}`, { headers: credentials });
  const publishAgain = () => gateway.publish({ stream: 's', payload: { a: 1 } });
  await until('the webhook is called', async () => receiver.requests.length > 0 || ((await publishAgain()) && false), 15000);
  assert.equal(receiver.requests[0].headers.authorization, `Bearer ${SECRETS.header}`);
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  // And when things go wrong: a wrong password, a receiver and a Redis that are not there.
  await redis.command('ACL', 'SETUSER', SECRETS.user, 'resetpass', '>another');
  await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes').catch(() => {});
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub').catch(() => {});
  await gateway.process.sees(/WRONGPASS|invalid username|redis link down/i);
  await ask('GET', '/readyz', {});
  await ask('GET', '/metrics', {});
  gateway.reload();
  await gateway.process.sees(/settings reloaded/);
  const checked = await sluice(['--check', ...flags.slice(0, 2)], { environment });
  const wrong = await sluice(['serve', '--redis-url', `redis://u:${SECRETS.redis}@[::bad`, '--listen', '127.0.0.1:0']);
  assert.notEqual(wrong.code, 0);
  await redis.command('ACL', 'SETUSER', SECRETS.user, 'resetpass', `>${SECRETS.redis}`);
  await gateway.ready(20000);
  const argument = readFileSync(`/proc/${gateway.pid}/cmdline`, 'latin1');
  const places = {
    log: gateway.log, 'the log of the guarded one': guarded.log, answers: answers.join('\n'), arguments: argument, '--check': checked.output, 'a refused start': wrong.output,
    '--check of the guarded one': (await sluice(['--check'], { environment: known })).output,
  };
  for (const [place, text] of Object.entries(places)) {
    assert.ok(text.length > 20, `nothing in ${place}`);
    for (const [name, secret] of Object.entries(SECRETS)) {
      if (name === 'user') continue; // a name
      assert.ok(!text.includes(secret), `${place} has the ${name} secret: ${text.slice(Math.max(0, text.indexOf(secret) - 200), text.indexOf(secret) + 60)}`);
    }
  }
  report.saw(`${Object.keys(SECRETS).length - 1} secrets in none of ${gateway.log.length} bytes of debug log, ${answers.length} answers, process arguments, --check and a refused start`);
});
