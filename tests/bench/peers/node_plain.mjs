// Node's own http and ioredis, by hand: what an application does that has no gateway.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

export function nodePeer({ name, title, server, module, adjust }) {
  return {
    name,
    title,
    adjust,
    missing: () => (existsSync(file(`node_modules/${module}`)) ? undefined : `${module} is not installed`),
    path: '/events?channel={channel}',
    joinedBy: 'retry',
    command: ({ port, redisSocket }) => [process.execPath, file(server), String(port), redisSocket],
  };
}

export default nodePeer({ name: 'node', title: 'Node, by hand', server: 'node-plain/server.mjs', module: 'ioredis' });
