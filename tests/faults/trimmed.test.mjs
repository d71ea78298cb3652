// What a client was away for is not in Redis any more.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { addEntries } from '../support/durable.mjs';
import { fault, faults } from '../support/fault.mjs';
import { startPair } from '../support/gateway.mjs';
import { faultsOfList } from '../support/recorder.mjs';
import { until } from '../support/wait.mjs';

const WAYS = {
  'FLUSHALL behind a cursor': { act: (redis) => redis.command('FLUSHALL') },
  'XTRIM behind a cursor': { act: (redis) => redis.command('XTRIM', 'cut', 'MAXLEN', 3) },
  'DEL behind a cursor': { act: (redis) => redis.command('DEL', 'cut') },
  'the stream begun again with lower ids behind a cursor': {
    act: async (redis) => {
      await redis.command('DEL', 'cut');
      await redis.command('XADD', 'cut', '5-1', 'n', 99);
    },
    added: [99],
    id: (n) => `${6 + n}-1`,
  },
};

const numbersOf = (events) => events.filter(({ event }) => event === 'message').map(({ data }) => Number(JSON.parse(data).n));

/**
 * A reader that was away for the entries 5 to 19 while `act` happened, `isFresh`: with the gateway still keeping some of them. What
 * it gets is exact, or has a gap where something is missing; then comes what is added.
 */
async function comeBack(t, report, { act, id = () => '*', added = [] }, isFresh) {
  const { redis, gateway } = await startPair(t, { flags: ['--subscription-linger', '50ms', '--replay-messages', '4'] });
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  await addEntries(redis, 'cut', 10);
  const stream = await gateway.stream('/events/stream?stream=cut&since=0');
  const seen = await stream.take(5);
  assert.deepEqual(numbersOf(seen), [0, 1, 2, 3, 4]);
  await stream.close();
  await addEntries(redis, 'cut', 10, 10);
  if (!isFresh) await until('the gateway has let the stream go', async () => (await gateway.metric('sluice_streams_watched')) === 0);
  if (!isFresh) await pause(3500); // pages of history are kept for 3 s
  await act(redis);

  const start = Date.now();
  const back = await gateway.stream('/events/stream?stream=cut', { 'last-event-id': seen.at(-1).id });
  await until('it has its place', () => back.lastEventId);
  for (let n = 100; n < 103; n++) await redis.command('XADD', 'cut', id(n), 'n', n);
  await until('what comes then is there', () => back.events.at(-1)?.data === '{"n":"102"}');
  report.recovered(Date.now() - start);
  const { events } = back;
  assert.ok(events.length < 40, `${events.length} events`);
  const problems = faultsOfList(
    [{ topic: 'cut', n: 4 }, ...events.map(({ event, data }) => (event === 'gap' ? { gap: data } : { topic: 'cut', n: Number(JSON.parse(data).n) }))],
    'cut', [...Array.from({ length: 20 }, (_, n) => n), ...added, 100, 101, 102]);
  assert.deepEqual(problems, []);
  assert.deepEqual(numbersOf(events).slice(-3), [100, 101, 102]);
  await back.close();
  return events;
}

faults('a cursor that Redis has nothing behind', () => {
  for (const [name, way] of Object.entries(WAYS)) {
    fault(`${name}, long after`, { row: 13, expected: '`gap` on resume' }, async (t, report) => {
      const [gap] = await comeBack(t, report, way, false);
      assert.equal(gap.event, 'gap', JSON.stringify(gap));
      report.saw(`\`gap\` ${gap.data}`);
    });

    fault(`${name}, a moment after`, { row: 13, expected: 'what the gateway still has, then `gap`', isExtra: !/FLUSHALL/.test(name) }, async (t, report) => {
      const events = await comeBack(t, report, way, true);
      const kept = events.findIndex(({ event, data }) => event === 'gap' || data === '{"n":"100"}');
      report.saw(`${kept} of 15 entries from memory${events[kept].event === 'gap' ? `, then \`gap\` ${events[kept].data}` : ''}`);
    });
  }
});

fault('FLUSHALL under readers that are there', { row: 13, expected: 'what comes is told, nothing twice' }, async (t, report) => {
  const { redis, gateway } = await startPair(t);
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  await addEntries(redis, 'cut', 5);
  const stream = await gateway.stream('/events/stream?stream=cut&since=0');
  await stream.take(5);
  await redis.command('FLUSHALL');
  await addEntries(redis, 'cut', 5, 5);
  await until('what comes is told', () => stream.events.at(-1).data === '{"n":"9"}');
  assert.deepEqual(numbersOf(stream.events), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  report.saw('each entry once');
  await stream.close();
});

fault('a stream is deleted before it is read to its end, and begins again', { row: 13, expected: '`gap`', isExtra: true }, async (t, report) => {
  const { redis, gateway } = await startPair(t);
  await report.watch({ gateway, publish: (...message) => redis.publish(...message) });
  await addEntries(redis, 'cut', 5);
  const stream = await gateway.stream('/events/stream?stream=cut&since=0');
  await stream.take(5);
  // In one step, so that nobody can read what was added.
  await redis.command('MULTI');
  await addEntries(redis, 'cut', 3, 5);
  await redis.command('DEL', 'cut');
  await redis.command('EXEC');
  await addEntries(redis, 'cut', 1, 8);
  const begun = Date.now();
  const gap = await stream.nextWhere(({ event }) => event === 'gap', 15000);
  report.recovered(Date.now() - begun);
  report.saw(`\`gap\` ${gap.data}`);
  await addEntries(redis, 'cut', 1, 9);
  await until('what comes is told', () => stream.events.at(-1).data === '{"n":"9"}');
  assert.deepEqual(numbersOf(stream.events), [0, 1, 2, 3, 4, 8, 9]);
  await stream.close();
});
