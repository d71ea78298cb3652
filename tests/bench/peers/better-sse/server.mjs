// The same with better-sse's sessions and channels.
//     node server.mjs <port> <Redis socket>

import { createServer } from 'node:http';
import { createChannel, createSession } from 'better-sse';
import { Redis } from 'ioredis';

const [port, redisSocket] = process.argv.slice(2);
const redis = new Redis({ path: redisSocket });
const channels = new Map();

// The payload is JSON already: nothing is to be serialized again.
const serializer = (data) => data;

redis.on('message', (channel, message) => channels.get(channel)?.broadcast(message, 'message'));

createServer(async (request, response) => {
  const name = new URL(request.url, 'http://localhost').searchParams.get('channel');
  const session = await createSession(request, response, { keepAlive: null, retry: null, serializer });
  let channel = channels.get(name);
  if (!channel) {
    channels.set(name, (channel = createChannel()));
    channel.state.subscribed = redis.subscribe(name);
    channel.on('session-deregistered', () => {
      if (channel.sessionCount > 0) return;
      channels.delete(name);
      redis.unsubscribe(name);
    });
  }
  channel.register(session);
  await channel.state.subscribed;
  response.write('retry: 3000\n\n');
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
