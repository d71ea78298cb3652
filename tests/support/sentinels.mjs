// A master, its replica, and three Sentinels that watch over them, all on loopback.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, makeFolder, removeFolder, startProcess } from './processes.mjs';
import { RedisClient, startRedis } from './redis.mjs';
import { until } from './wait.mjs';

export const MASTER_NAME = 'mymaster';

class Sentinel {
  constructor(port) {
    this.port = port;
    this.folder = makeFolder();
  }

  async start(master) {
    const file = join(this.folder, 'sentinel.conf');
    writeFileSync(file, [
      `port ${this.port}`,
      'bind 127.0.0.1',
      `dir ${this.folder}`,
      `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${master.port} 2`,
      `sentinel down-after-milliseconds ${MASTER_NAME} 700`,
      `sentinel failover-timeout ${MASTER_NAME} 4000`,
      '',
    ].join('\n'));
    this.process = startProcess('redis-server', [file, '--sentinel']);
    await this.process.sees(/\+monitor master/);
    this.client = new RedisClient({ host: '127.0.0.1', port: this.port });
  }

  command(...args) {
    return this.client.command('SENTINEL', ...args);
  }

  async stop() {
    await this.client?.close();
    this.process?.kill('SIGKILL');
    await this.process?.ends();
    removeFolder(this.folder);
  }
}

class Group {
  constructor() {
    this.servers = [];
    this.sentinels = [];
  }

  /** What a gateway connects to. */
  get url() {
    return `redis+sentinel://${this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${MASTER_NAME}`;
  }

  async start() {
    const args = ['--repl-diskless-sync-delay', '0', '--appendonly', 'yes'];
    const master = await startRedis({ tcp: true, args });
    this.servers.push(master);
    this.servers.push(await startRedis({ tcp: true, args: [...args, '--replicaof', `127.0.0.1 ${master.port}`] }));
    await until('the replica is in step', async () => /state=online/.test(await master.command('INFO', 'replication')), 20000);
    for (let i = 0; i < 3; i++) this.sentinels.push(new Sentinel(await freePort()));
    for (const sentinel of this.sentinels) await sentinel.start(master);
    await until('the Sentinels know each other and the replica', async () => {
      const answers = await Promise.all(this.sentinels.map((sentinel) => sentinel.command('MASTER', MASTER_NAME)));
      return answers.every((fields) => field(fields, 'num-slaves') === '1' && field(fields, 'num-other-sentinels') === '2');
    }, 20000);
  }

  async stop() {
    for (const sentinel of this.sentinels) await sentinel.stop();
    for (const server of this.servers) await server.stop();
  }
}

function field(fields, name) {
  return fields[fields.indexOf(name) + 1];
}

/** 'master' or 'slave'. Sentinels close the connections of a server whose role they change: ours, too. */
export async function roleOf(server) {
  if (server.client.socket.destroyed) server.client = await server.connect();
  return (await server.command('ROLE').catch(() => []))[0];
}

/** Starts a group, ended after test `t`. */
export async function startSentinels(t) {
  const group = new Group();
  t.after(() => group.stop());
  await group.start();
  return group;
}
