// How the page reads what workers write about their batches (web/batch_payload.js).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { webModule } from './web_module.mjs';

const { readPayload } = await webModule('batch_payload.js');

const percent = (payload) => readPayload(payload).percent;

test('progress is a percentage, or a ratio below one', () => {
  assert.equal(percent({ progress: 42 }), 42);
  assert.equal(percent({ progress: 0.5 }), 50);
  assert.equal(percent({ progress: 0 }), 0);
  assert.equal(percent({ progress: 1 }), 1);
  assert.equal(percent({ progress: 1, status: 'COMPLETED' }), 100);
  assert.equal(percent({ progress: 0.4, counts: { total: 1000, completed: 4 } }), 0.4);
  assert.equal(percent({ progress: 140 }), 100);
  assert.equal(percent({ progress: -3 }), 0);
});

test('without progress the counts tell, and without those nothing does', () => {
  assert.equal(percent({ counts: { total: 200, completed: 40, failed: 10 } }), 25);
  assert.equal(percent({ counts: { total: 200, processed: 40, failed: 10 } }), 20);
  assert.equal(percent({ status: 'COMPLETED' }), 100);
  assert.equal(percent({ status: 'FAILED' }), null);
  assert.equal(percent({ counts: { total: 0, completed: 0 } }), null);
  assert.equal(percent({ progress: '40', counts: null }), null);
});

test('three states are final', () => {
  for (const status of ['COMPLETED', 'PARTIAL', 'FAILED']) assert.equal(readPayload({ status }).isTerminal, true, status);
  for (const status of ['PROCESSING', 'completed', '', 7, null]) assert.equal(readPayload({ status }).isTerminal, false, String(status));
});

test('what is no object is shown as it is', () => {
  assert.equal(readPayload('half way').message, 'half way');
  assert.equal(readPayload([1, 2]).message, '[1,2]');
  assert.equal(readPayload(null).message, 'null');
  assert.equal(readPayload(undefined).message, '');
});

test('counts are the numbers among counts, in their order', () => {
  assert.deepEqual(readPayload({ counts: { total: 3, note: 'x', failed: 0 } }).counts, [['total', 3], ['failed', 0]]);
});
