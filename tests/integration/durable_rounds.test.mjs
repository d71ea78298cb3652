// Exact resume under load: clients are cut, the gateway and Redis are killed, and in the end every client has exactly what Redis has.
//
//   SLUICE_DURABLE_ROUNDS=10 SLUICE_DURABLE_CLIENTS=200 node --test tests/integration/durable_rounds.test.mjs

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startGateway } from '../support/gateway.mjs';
import { caughtUp, compareLists, entriesOf, Follower, Writer } from '../support/durable.mjs';
import { startRedis } from '../support/redis.mjs';

const ROUNDS = Number(process.env.SLUICE_DURABLE_ROUNDS ?? 2);
const CLIENTS = Number(process.env.SLUICE_DURABLE_CLIENTS ?? 60);
const PER_SECOND = Number(process.env.SLUICE_DURABLE_RATE ?? 400);

/** Small rings, so that who was away for a second is behind them and reads the stream back. */
const FLAGS = ['--replay-messages', '32', '--subscription-linger', '200ms', '--retry-min', '10ms', '--retry-max', '50ms'];

/** Client `i`: of one stream or several, with a channel beside, its id by header or by parameter, at one gateway or at two in turn. */
function makeFollower(i, since, gateways) {
  const both = gateways.map(({ origin }) => origin);
  const origins = [both.slice(0, 1), both.slice(1), both][i % 3];
  const idBy = ['header', 'lastEventId', 'last_event_id', 'header'][i % 4];
  const path = '/events/stream?';
  switch (i % 5) {
    case 0:
    case 1:
      return new Follower({ origins, idBy, stream: 'orders', path: `${path}stream=orders&since=${since}` });
    case 2:
      return new Follower({ origins, idBy, path: `${path}stream=orders&stream=mails&since=${since}` });
    default:
      return new Follower({ origins, idBy, path: `${path}stream=mails&channel=news&stream=orders&since=${since}` });
  }
}

function cutSome(followers) {
  for (const follower of followers) if (Math.random() < 0.5) follower.cut();
}

async function killGateway(gateways, index, redis) {
  const { port } = gateways[index];
  gateways[index].process.kill('SIGKILL');
  await gateways[index].process.exited;
  await pause(Math.random() * 300);
  gateways[index] = await startGateway({ redis, port, flags: FLAGS });
}

/** What happens to everybody while entries keep coming. */
async function trouble(followers, gateways, redis) {
  await pause(300);
  cutSome(followers);
  await pause(300);
  await killGateway(gateways, 0, redis);
  cutSome(followers);
  await pause(300);
  await redis.restart();
  await pause(300);
  cutSome(followers);
  await killGateway(gateways, 1, redis);
  await pause(200);
  cutSome(followers);
  await redis.restart();
  await pause(500);
}

async function runRound(redis, gateways, round) {
  const [, since] = await Promise.all(['orders', 'mails'].map((stream) => redis.command('XADD', stream, '*', 'n', `round-${round}`)));
  const followers = Array.from({ length: CLIENTS }, (_, i) => makeFollower(i, since, gateways));
  const writer = new Writer(redis, { streams: ['orders', 'mails'], channel: 'news', perSecond: PER_SECOND });
  try {
    await trouble(followers, gateways, redis);
    await writer.stop();
    await Promise.all(gateways.map((gateway) => gateway.ready()));
    await caughtUp(followers, redis, ['orders']);
    await caughtUp(followers.filter(({ stream }) => !stream), redis, ['mails']);
  } finally {
    await writer.stop();
    await Promise.all(followers.map((follower) => follower.stop()));
  }
  return judge(redis, followers, since, round);
}

async function judge(redis, followers, since, round) {
  const total = { round, clients: followers.length, connections: 0, entries: 0, delivered: 0, lost: 0, duplicated: 0, misplaced: 0, gaps: 0 };
  for (const stream of ['orders', 'mails']) {
    const wanted = await entriesOf(redis, stream, since);
    total.entries += wanted.length;
    for (const follower of followers.filter((candidate) => !candidate.stream || candidate.stream === stream)) {
      const list = follower.of(stream);
      const { lost, duplicated, misplaced } = compareLists(list, wanted);
      total.delivered += list.length;
      total.lost += lost;
      total.duplicated += duplicated;
      total.misplaced += misplaced;
    }
  }
  for (const follower of followers) {
    total.connections += follower.connections;
    total.gaps += follower.gaps.filter(({ stream }) => stream).length;
  }
  return total;
}

test(`${ROUNDS} rounds of ${CLIENTS} clients: nothing lost, nothing twice`, { timeout: 60000 * ROUNDS }, async (t) => {
  const redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  const gateways = [];
  t.after(async () => {
    for (const gateway of gateways) await gateway.stop();
    await redis.stop();
  });
  for (let i = 0; i < 2; i++) gateways.push(await startGateway({ redis, flags: FLAGS }));
  for (let round = 1; round <= ROUNDS; round++) {
    const total = await runRound(redis, gateways, round);
    t.diagnostic(JSON.stringify(total));
    assert.ok(total.delivered > 0 && total.connections > 2 * CLIENTS, JSON.stringify(total));
    const { lost, duplicated, misplaced, gaps } = total;
    assert.deepEqual({ lost, duplicated, misplaced, gaps }, { lost: 0, duplicated: 0, misplaced: 0, gaps: 0 }, JSON.stringify(total));
  }
});
