// What a Node programmer writes by hand: one subscription a channel, one string a message, response.write() to each client.
//     node server.mjs <port> <Redis socket>

import { createServer } from 'node:http';
import { Redis } from 'ioredis';

const [port, redisSocket] = process.argv.slice(2);
const redis = new Redis({ path: redisSocket });
const channels = new Map();
let id = 0;

redis.on('message', (channel, message) => {
  const event = `id: ${++id}\ndata: ${message}\n\n`;
  for (const response of channels.get(channel) ?? []) response.write(event);
});

createServer(async (request, response) => {
  const channel = new URL(request.url, 'http://localhost').searchParams.get('channel');
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  let clients = channels.get(channel);
  if (!clients) {
    channels.set(channel, (clients = new Set()));
    clients.subscribed = redis.subscribe(channel);
  }
  clients.add(response);
  response.on('close', () => {
    clients.delete(response);
    if (clients.size > 0) return;
    channels.delete(channel);
    redis.unsubscribe(channel);
  });
  await clients.subscribed;
  response.write('retry: 3000\n\n');
}).listen({ port: Number(port), host: '127.0.0.1', backlog: 4096 });
