// The page in a real browser, against the built binary and a Redis of its own.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startGateway, startPair } from '../support/gateway.mjs';
import { SLOWNESS, until } from '../support/wait.mjs';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const TIMEOUT_MS = 10_000; // less than the 20 s after which the page asks for quiet batches anyway: that must not pass for promptness

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
});
after(() => browser?.close());

/** The page at `path`, and what it complained about: CSP violations, errors, refused resources. `prepare(context)` runs before. */
async function openPage(t, gateway, path = '/', options = {}, prepare = () => {}) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...options });
  t.after(() => context.close());
  context.setDefaultTimeout(TIMEOUT_MS * SLOWNESS);
  await prepare(context);
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(gateway.origin + path);
  return { page, complaints };
}

/** Browsers log every answer of 404 and every lost connection by themselves; those are no faults of the page. */
const faults = (complaints) => complaints.filter((text) => !/^Failed to load resource: .*(404|net::ERR_)/.test(text));

const card = (page, id) => page.locator(`.card[data-batch="${id}"]`);
const payload = (status, progress) => JSON.stringify({ batchId: 'b1', status, progress, counts: { total: 200, completed: progress * 2 }, message: `at ${progress}` });

/** As workers do it: the snapshot is set and told. */
async function work(redis, id, status, progress) {
  await redis.command('SET', `batch:progress:${id}`, payload(status, progress));
  await redis.publish(`batch:${id}`, payload(status, progress));
}

async function seesText(locator, text) {
  let last;
  await until(`"${text}" on the page, which has "${last}"`, async () => (last = await locator.textContent())?.match(text), TIMEOUT_MS);
}

const seesProgress = (page, id, percent) => card(page, id).locator(`[role=progressbar][aria-valuenow="${percent}"]`).waitFor();

async function listen(page, kind, name, format = '') {
  await page.selectOption('#topic-kind', kind);
  await page.fill('#topic-name', name);
  await page.press('#topic-name', 'Enter');
  if (format) await page.selectOption('#format', format);
  await page.click('#connect');
  await page.locator('#console-state[data-state=live]').waitFor();
}

describe('batches', () => {
  test('a batch moves to 100 % and is complete; a second run under its id moves again', async (t) => {
    const { redis, gateway } = await startPair(t);
    await work(redis, 'b1', 'RUNNING', 10);
    const { page, complaints } = await openPage(t, gateway);
    await page.fill('#batch-id', 'b1');
    await page.press('#batch-id', 'Enter');
    await seesProgress(page, 'b1', 10);
    await until('the channel is subscribed', () => redis.subscriptions('batch:b1'));
    for (const progress of [40, 70]) {
      await work(redis, 'b1', 'RUNNING', progress);
      await seesProgress(page, 'b1', progress);
    }
    await seesText(card(page, 'b1'), 'RUNNING');
    await seesText(card(page, 'b1').locator('.counts'), '140');
    await work(redis, 'b1', 'COMPLETED', 100);
    await card(page, 'b1').locator('.connection[data-state=complete]').waitFor();
    await seesText(card(page, 'b1').locator('.percent'), '100 %');
    await seesText(page.locator('#batch-announcer'), 'b1: completed');
    await work(redis, 'b1', 'RUNNING', 5);
    await seesProgress(page, 'b1', 5);
    await card(page, 'b1').locator('.connection[data-state=live]').waitFor();
    assert.deepEqual(faults(complaints), []);
  });

  test('many batches share one stream; they are in the address and remembered', async (t) => {
    const { redis, gateway } = await startPair(t);
    const ids = Array.from({ length: 12 }, (_, index) => `many-${index}`);
    const { page } = await openPage(t, gateway, `/#${new URLSearchParams(ids.map((id) => ['batch', id]))}`);
    await until('all are subscribed', async () => (await Promise.all(ids.map((id) => redis.subscriptions(`batch:${id}`)))).every((count) => count === 1));
    assert.equal(await gateway.metric('sluice_sse_clients'), 1);
    await Promise.all(ids.map((id, index) => work(redis, id, 'RUNNING', index)));
    for (const [index, id] of ids.entries()) await seesProgress(page, id, index);
    await card(page, 'many-3').getByRole('button', { name: 'Stop following' }).click();
    await card(page, 'many-3').waitFor({ state: 'detached' });
    assert.equal(new URL(page.url()).hash.includes('many-3'), false);
    await page.goto(`${gateway.origin}/`);
    await card(page, 'many-4').waitFor();
    assert.equal(await page.locator('.card').count(), 11);
  });

  test('a batch that is only set, never published, is seen', async (t) => {
    const { redis, gateway } = await startPair(t);
    const { page } = await openPage(t, gateway, '/#batch=quiet');
    await seesText(card(page, 'quiet'), 'no snapshot');
    await redis.command('SET', 'batch:progress:quiet', payload('RUNNING', 33));
    await page.reload();
    await seesProgress(page, 'quiet', 33);
  });

  test('a snapshot that was read before an event, and comes after it, changes nothing', async (t) => {
    const { redis, gateway } = await startPair(t);
    await work(redis, 'late', 'RUNNING', 10);
    let release;
    const held = new Promise((resolve) => (release = resolve));
    let isHeld = false;
    const { page } = await openPage(t, gateway, '/', {}, (context) =>
      context.route('**/batches/late', async (route) => {
        const response = await route.fetch();
        isHeld = true;
        await held;
        await route.fulfill({ response });
      }));
    await page.fill('#batch-id', 'late');
    await page.press('#batch-id', 'Enter');
    await until('the snapshot is on its way', () => isHeld);
    await until('the channel is subscribed', () => redis.subscriptions('batch:late'));
    await redis.publish('batch:late', payload('RUNNING', 50));
    await seesProgress(page, 'late', 50);
    const arrived = page.waitForResponse('**/batches/late');
    release();
    await (await arrived).finished();
    await page.evaluate(() => new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), 300)));
    assert.equal(await card(page, 'late').locator('[role=progressbar]').getAttribute('aria-valuenow'), '50');
  });

  test('demo batches that begin after the page was opened are found', async (t) => {
    const { redis, gateway } = await startPair(t);
    const { page } = await openPage(t, gateway);
    await page.locator('#batch-empty').waitFor();
    await until('the page has looked once', async () => (await gateway.metric('sluice_cache_misses_total')) > 0);
    await work(redis, 'demo-1', 'RUNNING', 5);
    await seesProgress(page, 'demo-1', 5);
  });

  test('the demo batches are there in --dev', async (t) => {
    const gateway = await startGateway({ flags: ['--dev'] });
    t.after(() => gateway.stop());
    const has = async (id) => (await gateway.get(`/batches/${id}`)).status === 200;
    for (const id of ['demo-1', 'demo-2', 'demo-3', 'demo-4']) await until(`${id} has begun`, () => has(id), TIMEOUT_MS);
    const { page, complaints } = await openPage(t, gateway);
    await card(page, 'demo-4').waitFor();
    const bar = card(page, 'demo-2').locator('[role=progressbar]');
    const first = await bar.getAttribute('aria-valuenow');
    await until('demo-2 has moved', async () => (await bar.getAttribute('aria-valuenow')) !== first, TIMEOUT_MS);
    await seesText(page.locator('#topics'), 'demo:events');
    assert.deepEqual(complaints, []);
  });
});

describe('console', () => {
  test('shows events with ids, by channel and pattern, and their JSON on demand', async (t) => {
    const { redis, gateway } = await startPair(t);
    const { page, complaints } = await openPage(t, gateway);
    await page.selectOption('#topic-kind', 'pattern');
    await page.fill('#topic-name', 'orders.*');
    await page.press('#topic-name', 'Enter');
    await listen(page, 'channel', 'news', 'envelope');
    await until('the channel is subscribed', () => redis.subscriptions('news'));
    await redis.publish('news', '{"headline":"one"}');
    await redis.publish('orders.paid', '{"order":7}');
    const rows = page.locator('#log li[data-event]');
    await rows.nth(1).waitFor();
    assert.match(await rows.nth(0).locator('.event-id').getAttribute('title'), /^[0-9a-f]{16}-[0-9]+$/);
    assert.match(await rows.nth(1).locator('.event-data').textContent(), /"channel":"orders.paid"/);
    await rows.nth(1).locator('.event-line').click();
    assert.match(await rows.nth(1).locator('pre').textContent(), /"order": 7/);
    await page.fill('#filter', 'headline');
    await until('one row is left', async () => (await rows.count()) === 1);
    await page.click('#clear');
    await until('no row is left', async () => (await rows.count()) === 0);
    assert.deepEqual(faults(complaints), []);
  });

  test('shows named events, and a batch\'s own stream to its end', async (t) => {
    const { redis, gateway } = await startPair(t);
    await work(redis, 'own', 'RUNNING', 10);
    const { page } = await openPage(t, gateway, '/#batch=own');
    await listen(page, 'channel', 'any.name', 'named');
    await until('the channel is subscribed', () => redis.subscriptions('any.name'));
    await redis.publish('any.name', 'plain text');
    await page.locator('#log li[data-event="any.name"]').waitFor();
    await card(page, 'own').getByRole('button', { name: 'console' }).click();
    await page.locator('#log li[data-event=progress]').waitFor();
    await work(redis, 'own', 'COMPLETED', 100);
    await page.locator('#log li[data-event=complete]').waitFor();
    await seesText(page.locator('#console-state'), '204');
  });

  test('stays within 500 rows, and counts what it does not keep; pausing stops the rows', async (t) => {
    const { redis, gateway } = await startPair(t);
    const { page } = await openPage(t, gateway);
    await listen(page, 'channel', 'flood');
    await until('the channel is subscribed', () => redis.subscriptions('flood'));
    await Promise.all(Array.from({ length: 1500 }, (_, index) => redis.publish('flood', `{"n":${index}}`)));
    await page.locator('#log li[data-event]', { hasText: '"n":1499' }).waitFor();
    await seesText(page.locator('#count-events'), '1,500');
    assert.equal(await page.locator('#log li').count(), 500);
    await page.click('#pause');
    await redis.publish('flood', '"later"');
    await seesText(page.locator('#log-paused'), '1 more');
    assert.equal(await page.locator('#log li', { hasText: 'later' }).count(), 0);
    await page.click('#pause');
    await page.locator('#log li', { hasText: 'later' }).waitFor();
  });

  test('says what is wrong with a request', async (t) => {
    const { gateway } = await startPair(t, { flags: ['--topics-per-stream-max', '1'] });
    const { page } = await openPage(t, gateway);
    await page.fill('#topic-name', 'a');
    await page.press('#topic-name', 'Enter');
    await page.fill('#topic-name', 'b');
    await page.press('#topic-name', 'Enter');
    await page.click('#connect');
    await page.locator('#console-state[data-state=failed]').waitFor();
    assert.equal(await page.textContent('#connect'), 'Connect');
  });
});

test('the page survives a restart of the gateway: it says so, shows the gap, and the batch goes on', async (t) => {
  const { redis, gateway } = await startPair(t);
  await work(redis, 'b1', 'RUNNING', 10);
  const { page, complaints } = await openPage(t, gateway, '/#batch=b1');
  await listen(page, 'channel', 'batch:b1');
  await until('the channel is subscribed', () => redis.subscriptions('batch:b1'));
  await work(redis, 'b1', 'RUNNING', 20);
  await seesProgress(page, 'b1', 20);
  await gateway.stop();
  await card(page, 'b1').locator('.connection[data-state=waiting], .connection[data-state=connecting]').waitFor();
  await seesText(page.locator('#health-text'), 'unreachable');
  await work(redis, 'b1', 'RUNNING', 60); // nobody listens
  const next = await startGateway({ redis, port: gateway.port });
  t.after(() => next.stop());
  await seesProgress(page, 'b1', 60);
  await card(page, 'b1').locator('.badge.gap').waitFor();
  await page.locator('#log li[data-event=gap]').waitFor();
  await page.locator('#log li.mark[data-kind=gap]', { hasText: 'restart' }).waitFor();
  await page.locator('#log li.mark[data-kind=reconnect]', { hasText: 'reconnected' }).waitFor();
  await until('both streams are subscribed', () => redis.subscriptions('batch:b1'));
  await work(redis, 'b1', 'COMPLETED', 100);
  await seesProgress(page, 'b1', 100);
  await seesText(page.locator('#health-text'), 'ready');
  assert.deepEqual(faults(complaints), []);
});

test('a loss of Redis is shown, and what came meanwhile is there afterwards', async (t) => {
  const { redis, gateway } = await startPair(t);
  const { page } = await openPage(t, gateway, '/#batch=b1');
  await until('the channel is subscribed', () => redis.subscriptions('batch:b1'));
  await work(redis, 'b1', 'RUNNING', 20);
  await seesProgress(page, 'b1', 20);
  await redis.kill();
  await seesText(page.locator('#health-text'), 'Redis down');
  await redis.start();
  await redis.command('SET', 'batch:progress:b1', payload('RUNNING', 80));
  await card(page, 'b1').locator('.badge.gap').waitFor();
  await seesProgress(page, 'b1', 80);
  await seesText(page.locator('#health-text'), 'ready');
});

test('publishing shows the receipt, a duplicate, and the problem with a bad payload', async (t) => {
  const { gateway } = await startPair(t);
  const { page, complaints } = await openPage(t, gateway);
  await listen(page, 'channel', 'from.page');
  await page.fill('#publish-channel', 'from.page');
  await page.fill('#publish-payload', '{"big":12345678901234567890}');
  await page.click('#new-key');
  await page.press('#publish-payload', 'Control+Enter');
  await seesText(page.locator('#publish-result'), 'Published');
  await page.locator('#log li', { hasText: '12345678901234567890' }).waitFor();
  await page.click('#publish-send');
  await seesText(page.locator('#publish-result'), 'Already published');
  await page.fill('#publish-payload', '{"broken":');
  await seesText(page.locator('#payload-problem'), 'No JSON');
  await page.click('#publish-send');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'publish-payload');
  assert.deepEqual(faults(complaints), []);
});

test('everything can be done with the keyboard', async (t) => {
  const { redis, gateway } = await startPair(t);
  const { page } = await openPage(t, gateway);
  const focused = () => page.evaluate(() => document.activeElement.id);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await page.keyboard.press('b');
  assert.equal(await focused(), 'batch-id');
  await page.keyboard.type('b1?\n'); // in a field, keys are letters
  await card(page, 'b1?').waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await card(page, 'b1?').waitFor({ state: 'detached' });
  assert.equal(await focused(), 'batch-id', 'the focus has a place to be');
  await page.keyboard.press('Tab');
  await page.keyboard.press('t');
  assert.equal(await focused(), 'topic-name');
  await page.keyboard.type('keys');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.keyboard.press('c');
  await until('the channel is subscribed', () => redis.subscriptions('keys'));
  for (const value of [1, 2, 3]) await redis.publish('keys', String(value));
  await page.locator('#log li[data-event]').nth(2).waitFor();
  await page.locator('#log .event-line[tabindex="0"]').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#log li', { has: page.locator('pre') }).locator('pre').textContent(), '2');
  await page.keyboard.press('?');
  assert.equal(await page.locator('#help').evaluate((dialog) => dialog.open), true);
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('#help').evaluate((dialog) => dialog.open), false);
  await page.keyboard.press('d');
  assert.equal(await page.getAttribute('html', 'data-theme'), 'light');
});

test('works behind a prefix, on a phone, and figures move', async (t) => {
  const { gateway } = await startPair(t);
  const { page, complaints } = await openPage(t, gateway, '/api/v1/#batch=x', { viewport: { width: 360, height: 740 } });
  await card(page, 'x').locator('.connection[data-state=live]').waitFor();
  await seesText(page.locator('#health-text'), 'ready');
  await seesText(page.locator('.figure').first(), '1');
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} px too wide`);
  assert.deepEqual(faults(complaints), []);
});

test('configured streams are shown with their groups, and their entries on request', async (t) => {
  const { redis, gateway } = await startPair(t, { flags: ['--streams', 'orders,missing'] });
  await redis.command('XGROUP', 'CREATE', 'orders', 'billing', '0', 'MKSTREAM');
  await redis.command('XADD', 'orders', '*', 'n', '1');
  const { page, complaints } = await openPage(t, gateway);
  const row = page.locator('#stream-rows tr[data-stream=orders]');
  await seesText(row, /^orders1.*billing0/); // nobody consumes it
  await row.locator('[data-level=bad]').waitFor();
  await seesText(page.locator('#stream-rows tr[data-stream=missing]'), 'not there');
  await redis.command('XREADGROUP', 'GROUP', 'billing', 'w', 'STREAMS', 'orders', '>');
  await seesText(row, /billing11/);
  await row.locator('button').click();
  await page.locator('#console-state[data-state=live]').waitFor();
  await redis.command('XADD', 'orders', '*', 'hello', 'world');
  await seesText(page.locator('#log'), /hello.*world/);
  assert.deepEqual(faults(complaints), []);
});

test('without configured streams there is no section for them', async (t) => {
  const { gateway } = await startPair(t);
  const { page } = await openPage(t, gateway);
  await page.locator('#health[data-level=ok]').waitFor();
  assert.equal(await page.locator('#streams').isVisible(), false);
});
