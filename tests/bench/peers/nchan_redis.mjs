// nginx with Nchan, keeping messages in Redis, as several of them must.

import { nchan } from './nchan.mjs';

export default nchan({
  name: 'nchan-redis',
  title: 'Nchan, Redis',
  inQuick: true,
  upstream: ({ redisPort }) => `upstream redis { nchan_redis_server redis://127.0.0.1:${redisPort}; }`,
  store: 'nchan_redis_pass redis;',
});
