// A TCP relay in front of a port of loopback: a network that a test can cut.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** {port, cut(), part(), join(), close()}: cut() resets every connection that goes through it; new ones work. Between part() and
 * join() they do not. */
export async function startRelay(target) {
  const pairs = new Set();
  let isApart = false;
  const server = createServer((client) => {
    if (isApart) return client.on('error', () => {}).resetAndDestroy();
    const upstream = connect(target, '127.0.0.1');
    const pair = [client, upstream];
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client]]) {
      from.on('error', () => {});
      from.on('close', () => {
        to.destroy();
        pairs.delete(pair);
      });
      from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const [client, upstream] of pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  };
  return {
    port: server.address().port,
    cut,
    part() {
      isApart = true;
      cut();
    },
    join() {
      isApart = false;
    },
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
