// What comes from Redis is no RESP, or far too much of it.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault, RUNS_ALL } from '../support/fault.mjs';
import { startRecorded } from '../support/recorder.mjs';
import { until } from '../support/wait.mjs';
import { anonymousBytes, cpuSeconds, peakMemory } from '../support/vitals.mjs';

const MIB = 2 ** 20;

const GARBAGE = {
  'bytes without sense': Buffer.from('\x00\xff\xfe garbage \x7f\r\n\r\n'),
  'a page of HTML': Buffer.from('HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html></html>\r\n'),
  'a length below zero': Buffer.from('$-7\r\n'),
  'a length that is no number': Buffer.from('$12x\r\n'),
  'a length over 64 bits': Buffer.from('$99999999999999999999\r\n'),
  'an array of 4 billion': Buffer.from('*4294967295\r\n'),
  'an array of less than nothing': Buffer.from('*-2\r\n'),
  'arrays in arrays in arrays': Buffer.from('*1\r\n'.repeat(5000)),
  'an integer that is none': Buffer.from(':seven\r\n'),
  'a bulk without its end': Buffer.from('$3\r\nabcdef'),
  'RESP3 maps and nulls': Buffer.from('%2\r\n+a\r\n_\r\n#t\r\n,1.5\r\n'),
  'an error nobody asked for': Buffer.from('-ERR out of nothing\r\n'),
  'a reply nobody asked for': Buffer.from('+OK\r\n+OK\r\n'),
  'a message of two parts': Buffer.from('*2\r\n$7\r\nmessage\r\n$5\r\nrec.a\r\n'),
  'a confirmation nobody asked for': Buffer.from('*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n'),
};

fault('malformed RESP', { row: 11, expected: 'drops the link, reconnects, no crash' }, async (t, report) => {
  const { proxy, recorder } = await startRecorded(t, report);
  // Three kinds at a time, or each on every connection: after each of them the links wait longer before they connect.
  const kinds = Object.keys(GARBAGE);
  const links = ['feed', 'commands', 'tail'];
  let worst = 0;
  for (let at = 0; at < kinds.length; at += RUNS_ALL ? 1 : links.length) {
    const names = links.map((_, i) => kinds[(at + i) % kinds.length]);
    for (const [i, link] of links.entries()) proxy.garble(GARBAGE[names[i]], { link, to: 'gateway' });
    await pause(50);
    const milliseconds = await recorder.live().catch((problem) => assert.fail(`after ${names}: ${problem.message}`));
    worst = Math.max(worst, milliseconds);
  }
  report.recovered(worst);
  report.saw(`${Object.keys(GARBAGE).length} kinds of garbage between replies`);
  report.saw(await recorder.finish());
});

fault('a server that answers nothing but garbage', { row: 11, expected: 'drops the link, reconnects, no crash' }, async (t, report) => {
  const { proxy, gateway, recorder } = await startRecorded(t, report);
  const kinds = Object.values(GARBAGE);
  const before = proxy.accepted;
  const busy = cpuSeconds(gateway.pid);
  let turn = 0;
  proxy.filter = (bytes, lane) => (lane.to === 'gateway' ? kinds[turn++ % kinds.length] : bytes);
  proxy.cut();
  await pause(3000);
  const attempts = proxy.accepted - before;
  assert.ok(attempts <= 12 * gateway.linkCount, `${attempts} attempts to connect in 3 s`);
  assert.ok(cpuSeconds(gateway.pid) - busy < 1.5, 'it does not spin');
  assert.equal((await gateway.get('/healthz')).status, 200);
  report.saw(`${attempts} attempts to connect in 3 s`);
  proxy.heal();
  proxy.cut();
  report.recovered(await recorder.live());
  report.saw(await recorder.finish());
});

/** Announces 600 MB in the place of the next reply, and sends as much of it as the gateway takes. */
async function announce(proxy, link, head) {
  const [connection] = proxy.connectionsOf(link);
  const lane = connection.toGateway;
  lane.queue = [];
  proxy.filter = (bytes, other) => (other === lane && bytes.length < MIB ? Buffer.alloc(0) : bytes);
  const piece = Buffer.alloc(4 * MIB, 'x');
  lane.push(Buffer.concat([Buffer.from(head), Buffer.alloc(MIB, 'x')]));
  for (let sent = 0; sent < 600 * MIB && !connection.isGone; sent += piece.length) {
    lane.push(piece);
    await until('what was sent is taken', () => connection.isGone || connection.client.writableLength < 16 * MIB, 15000);
  }
  await until('the link is dropped', () => connection.isGone, 15000);
  proxy.filter = undefined;
}

const HUGE = {
  'a reply of 600 MB announced': { link: 'commands', head: '$629145600\r\n' },
  'a message of 600 MB announced': { link: 'feed', head: '*3\r\n$7\r\nmessage\r\n$5\r\nrec.a\r\n$629145600\r\n' },
  'a page of entries of 600 MB announced': { link: 'tail', head: '*1\r\n*2\r\n$10\r\nrec-stream\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nn\r\n$629145600\r\n' },
};

for (const [name, { link, head }] of Object.entries(HUGE)) {
  fault(name, { row: 12, expected: 'memory stays bounded, link dropped' }, async (t, report) => {
    const { proxy, gateway, recorder } = await startRecorded(t, report);
    const before = anonymousBytes(gateway.pid);
    const [, peak] = await peakMemory(gateway.pid, () => announce(proxy, link, head));
    const grown = (peak - before) / MIB;
    assert.ok(grown < 80, `${grown.toFixed(0)} MiB more at its peak`);
    assert.match(gateway.log, /a reply larger than allowed/);
    report.saw(`dropped, ${grown.toFixed(0)} MiB more at its peak`);
    report.recovered(await recorder.live());
    report.saw(await recorder.finish());
  });
}

fault('a reply that never ends, in small pieces', { row: 12, expected: 'memory stays bounded, link dropped' }, async (t, report) => {
  // redis_reply_bytes_max is 64 MiB; with 4 MiB it is over sooner.
  const { proxy, gateway, recorder } = await startRecorded(t, report, { flags: ['--redis-reply-bytes-max', '4MiB'] });
  const before = anonymousBytes(gateway.pid);
  const [connection] = proxy.connectionsOf('feed');
  const lane = connection.toGateway;
  proxy.filter = (bytes, other) => (other === lane && !bytes.isOurs ? Buffer.alloc(0) : bytes);
  const push = (text) => lane.push(Object.assign(Buffer.from(text), { isOurs: true }));
  push('*100000000\r\n');
  const element = '$4\r\nabcd\r\n'.repeat(2000);
  const [, peak] = await peakMemory(gateway.pid, async () => {
    for (let i = 0; i < 20000 && !connection.isGone; i++) {
      push(element);
      await until('what was sent is taken', () => connection.isGone || connection.client.writableLength < MIB, 15000);
    }
    await until('the link is dropped', () => connection.isGone, 15000);
  });
  proxy.filter = undefined;
  const grown = (peak - before) / MIB;
  assert.ok(grown < 32, `${grown.toFixed(0)} MiB more at its peak`);
  report.saw(`dropped, ${grown.toFixed(0)} MiB more at its peak`);
  report.recovered(await recorder.live());
  report.saw(await recorder.finish());
});
