// EventSource in a real browser reads compressed streams: each event as it comes, the end of a batch, and on from where it was cut.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startGateway, startPair } from '../support/gateway.mjs';
import { startRelay } from '../support/relay.mjs';
import { SLOWNESS, until } from '../support/wait.mjs';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const words = (count) => 'a few words again and again, '.repeat(count);

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
});
after(() => browser?.close());

/** A page of the gateway's origin with an EventSource at `path`; what it fires is in `seen`, and the streams' heads in `heads`. */
async function openSource(t, origin, path) {
  const context = await browser.newContext();
  t.after(() => context.close());
  context.setDefaultTimeout(10000 * SLOWNESS);
  const page = await context.newPage();
  const heads = [];
  page.on('response', (response) => {
    if (response.url().includes('/stream')) heads.push(response);
  });
  await page.goto(`${origin}/healthz`);
  await page.evaluate((address) => {
    globalThis.seen = [];
    globalThis.source = new EventSource(address);
    for (const name of ['open', 'error', 'message', 'gap', 'progress', 'complete'])
      globalThis.source.addEventListener(name, ({ data }) => globalThis.seen.push([name, data?.slice(0, 200), data?.length]));
  }, path);
  const seen = () => page.evaluate(() => globalThis.seen);
  return { page, heads, seen, sees: (what, matches) => until(what, async () => (await seen()).some(matches), 10000) };
}

test('events arrive one by one, and a cut stream goes on where it was', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--retry-min', '10ms', '--retry-max', '20ms'] });
  const relay = await startRelay(gateway.port);
  t.after(() => relay.close());
  const { heads, seen, sees } = await openSource(t, `http://127.0.0.1:${relay.port}`, '/events/stream?channel=x');
  await until('a subscription', () => redis.subscriptions('x'));
  for (let n = 0; n < 30; n++) {
    if (n % 10 === 5) relay.cut();
    const text = `${n} ${n % 2 ? words(200) : ''}`;
    await redis.publish('x', text);
    await sees(`event ${n}`, ([name, data, length]) => name === 'message' && data === text.slice(0, 200) && length === text.length);
  }
  assert.equal((await heads[0].allHeaders())['content-encoding'], 'gzip');
  assert.ok((await gateway.metric('sluice_sse_deflated_total')) >= 10);
  const events = (await seen()).filter(([name]) => name === 'message').map(([, data]) => parseInt(data, 10));
  assert.deepEqual(events, Array.from({ length: 30 }, (_, n) => n));
  assert.ok((await seen()).every(([name]) => name !== 'gap'));
  assert.ok((await seen()).filter(([name]) => name === 'open').length >= 4);
});

test('the end of a batch is seen, and no error before it', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--retry-min', '10ms', '--retry-max', '20ms'] });
  const { page, heads, seen, sees } = await openSource(t, gateway.origin, '/batches/b/stream');
  await until('a subscription', () => redis.subscriptions('batch:b'));
  for (const progress of [10, 50]) {
    await redis.publish('batch:b', JSON.stringify({ progress, message: words(100) }));
    await sees(`${progress} %`, ([name, data]) => name === 'progress' && data.startsWith(`{"progress":${progress},`));
  }
  await redis.publish('batch:b', JSON.stringify({ status: 'COMPLETED', message: words(100) }));
  await sees('the end', ([name]) => name === 'complete');
  await until('the browser has stopped', () => page.evaluate(() => globalThis.source.readyState === EventSource.CLOSED), 10000);
  const names = (await seen()).map(([name]) => name);
  assert.deepEqual(names.slice(0, 5), ['open', 'progress', 'progress', 'progress', 'complete']);
  assert.equal((await heads[0].allHeaders())['content-encoding'], 'gzip');
  assert.equal(heads.at(-1).status(), 204, 'it came back with the id of the end, and was told to stop');
});

test('a restarted gateway is told by a gap', { timeout: 60000 }, async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--retry-min', '10ms', '--retry-max', '20ms'] });
  const { seen, sees } = await openSource(t, gateway.origin, '/events/stream?channel=x');
  await until('a subscription', () => redis.subscriptions('x'));
  await redis.publish('x', words(100));
  await sees('the first', ([name]) => name === 'message');
  await gateway.stop();
  const next = await startGateway({ redis, port: gateway.port });
  t.after(() => next.stop());
  await sees('the gap', ([name, data]) => name === 'gap' && data === '{"reason":"restart"}');
  await redis.publish('x', `second ${words(100)}`);
  await sees('the second', ([name, data]) => name === 'message' && data.startsWith('second'));
  assert.equal((await seen()).filter(([name]) => name === 'message').length, 2);
});
