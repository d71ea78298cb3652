// nginx with Nchan, keeping messages in its own memory. It takes nothing from Redis' Pub/Sub, so messages are posted to it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so';
const DESCRIPTORS = Number(/Max open files +\d+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);

const slow = 'it takes one POST after the other, which holds its publisher back';

export function nchan({ name, title, inQuick = false, upstream = () => '', store = '' }) {
  return {
    name,
    title,
    inQuick,
    missing: () => (existsSync(MODULE) && existsSync('/usr/sbin/nginx') ? undefined : 'nginx with libnginx-mod-nchan is not installed'),
    path: '/events?channel={channel}',
    joinedBy: 'head',
    load: { publish: 'post', 'publish-path': '/publish?channel={channel}' },
    adjust: {
      S3: { options: ({ clients }) => ({ clients: Math.min(clients, 18500) }), why: 'at most 18,500 clients: it takes no more with 20,000 descriptors' },
      S4: { options: { messages: 1000 }, why: `1,000 messages: ${slow}` },
      S7: { options: { messages: 2000, warmup: 200 }, why: `2,000 messages: ${slow}` },
    },
    publishTo: ({ port }) => `127.0.0.1:${port}`,
    command({ port, folder, redisSocket, redisPort }) {
      const values = {
        MODULE, FOLDER: folder, PORT: port, DESCRIPTORS, CONNECTIONS: DESCRIPTORS, STORE: store,
        UPSTREAM: upstream({ redisSocket, redisPort }),
      };
      const template = readFileSync(new URL('nchan/nginx.conf.in', import.meta.url), 'utf8');
      const file = join(folder || '/tmp', 'nginx.conf');
      if (folder) writeFileSync(file, template.replace(/@([A-Z]+)@/g, (_, key) => values[key]));
      return ['/usr/sbin/nginx', '-p', folder, '-e', join(folder || '/tmp', 'error.log'), '-c', file];
    },
  };
}

export default nchan({ name: 'nchan', title: 'Nchan, memory' });
