// webdis: /SUBSCRIBE/<channel> streams JSON, not events; one connection to Redis for each client.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PROGRAM = '/usr/bin/webdis';
const twice = 'it needs two descriptors a client: one more for Redis';

export default {
  name: 'webdis',
  title: 'webdis',
  missing: () => (existsSync(PROGRAM) ? undefined : 'webdis is not installed'),
  path: '/SUBSCRIBE/{channel}',
  joinedBy: 'retry',
  load: { format: 'webdis' },
  adjust: {
    S2: { options: { clients: 9000, channels: 4500, rate: 4500, warmup: 4500 }, why: `9,000 clients: ${twice}` },
    S3: { options: ({ clients }) => ({ clients: Math.min(clients, 9000) }), why: `at most 9,000 clients: ${twice}` },
    S4: { options: { messages: 1000 }, why: '1,000 messages: all 5,000 take it a minute' },
  },
  command({ port, folder, redisPort }) {
    const file = join(folder || '/tmp', 'webdis.json');
    const values = { PORT: port, FOLDER: folder, REDIS: redisPort };
    const template = readFileSync(new URL('webdis/webdis.json.in', import.meta.url), 'utf8');
    if (folder) writeFileSync(file, template.replace(/@([A-Z]+)@/g, (_, key) => values[key]));
    return [PROGRAM, file];
  },
};
