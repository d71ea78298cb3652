// Starts Pushpin with what it needs around it: an origin that says which channel a client listens to, and a bridge that hands it
// what Redis publishes. Neither is Pushpin's work, so neither is counted.
//     node start.mjs <port> <Redis socket> <folder>

import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';

const [port, redisSocket, folder] = process.argv.slice(2);
const descriptors = Number(/Max open files +\d+ +(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);

const origin = createServer((request, response) => {
  const channel = new URL(request.url, 'http://localhost').searchParams.get('channel');
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Grip-Hold': 'stream', 'Grip-Channel': channel });
  response.end('retry: 3000\n\n');
});
await new Promise((resolve) => origin.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve));

const values = { FOLDER: folder, PORT: port, CONNECTIONS: descriptors - 200 };
const template = readFileSync(new URL('pushpin.conf.in', import.meta.url), 'utf8');
writeFileSync(join(folder, 'pushpin.conf'), template.replace(/@([A-Z]+)@/g, (_, key) => values[key]));
writeFileSync(join(folder, 'routes'), `* 127.0.0.1:${origin.address().port}\n`);
const pushpin = spawn('pushpin', [`--config=${join(folder, 'pushpin.conf')}`], { stdio: ['ignore', 'inherit', 'inherit'] });
pushpin.on('exit', (code) => process.exit(code ?? 1));

/** A frame of ZMTP 3.0: flags (2: long, 4: command), length, body. */
function frame(body, flags = 0) {
  const isLong = body.length > 255;
  const head = Buffer.alloc(isLong ? 9 : 2);
  head[0] = flags | (isLong ? 2 : 0);
  if (isLong) head.writeBigUInt64BE(BigInt(body.length), 1);
  else head[1] = body.length;
  return Buffer.concat([head, body]);
}

/** A PUSH socket of ZeroMQ, connected as soon as Pushpin listens. */
async function openPush(path) {
  const greeting = Buffer.alloc(64);
  greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]);
  greeting.write('NULL', 12);
  const property = (name, value) => {
    const bytes = Buffer.alloc(1 + name.length + 4 + value.length);
    bytes[0] = name.length;
    bytes.write(name, 1);
    bytes.writeUInt32BE(value.length, 1 + name.length);
    bytes.write(value, 5 + name.length);
    return bytes;
  };
  for (;;) {
    const socket = connect(path);
    const isConnected = await new Promise((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)));
    if (!isConnected) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    socket.on('data', () => {}); // its greeting and READY
    socket.write(greeting);
    socket.write(frame(Buffer.concat([Buffer.from('\x05READY'), property('Socket-Type', 'PUSH')]), 4));
    return socket;
  }
}

const push = await openPush(join(folder, 'push'));
const redis = new Redis({ path: redisSocket });
redis.on('pmessage', (pattern, channel, message) => {
  push.write(frame(Buffer.from(`J${JSON.stringify({ channel, formats: { 'http-stream': { content: `data: ${message}\n\n` } } })}`)));
});
await redis.psubscribe('*');
