// Pushpin: a proxy before an origin that says who listens to what (pushpin/start.mjs).

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const few = 'its publisher cannot be held back, so a longer burst only fills its memory';

export default {
  name: 'pushpin',
  title: 'Pushpin',
  missing: () => (existsSync('/usr/bin/pushpin') && existsSync(file('node_modules/ioredis')) ? undefined : 'pushpin, or ioredis for its bridge, is not installed'),
  path: '/?channel={channel}',
  joinedBy: 'retry',
  uncounted: /start\.mjs/,
  load: { 'connecting-max': 20, 'join-timeout-ms': 90000 },
  adjust: {
    S3: { options: ({ clients }) => ({ clients: Math.min(clients, 10000), 'connecting-max': 20 }), why: 'at most 10,000 clients: it loses requests of more that come at once, so they come slowly' },
    S7: { options: { rate: 100, messages: 500, warmup: 100 }, why: '100 messages/s: of more it loses most' },
    S4: { options: { messages: 200 }, why: `200 messages: ${few}` },
  },
  command: ({ port, redisSocket, folder }) => [process.execPath, file('pushpin/start.mjs'), String(port), redisSocket, folder],
};
