// A TCP relay in front of a port of loopback: a network that a test can cut.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** {port, cut(), close()}: cut() resets every connection that goes through it; new ones work. */
export async function startRelay(target) {
  const pairs = new Set();
  const server = createServer((client) => {
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
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
