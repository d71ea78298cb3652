// A bad network between the gateway and Redis. Whatever it does, each client's list is exact or has a gap.

import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { fault, faults } from '../support/fault.mjs';
import { startRecorded } from '../support/recorder.mjs';
import { until } from '../support/wait.mjs';

const EXPECTED = 'never silently stale';
const LINKS = ['feed', 'commands', 'tail'];

/** Starts, does `harm`, heals, and compares. Returns what startRecorded() gave. */
async function survive(t, report, harm, options) {
  const all = await startRecorded(t, report, options);
  await harm(all);
  all.proxy.heal();
  report.recovered(await all.recorder.live());
  report.saw(await all.recorder.finish());
  return all;
}

function assertNothingWasLost({ recorder }) {
  assert.equal(recorder.gapCount, 0, 'no connection was lost, so there is no gap');
}

faults('a bad network to Redis', () => {
  fault('answers and messages come 150 ms late', { expected: 'exact, no gap' }, async (t, report) => {
    assertNothingWasLost(await survive(t, report, async ({ proxy, recorder }) => {
      proxy.delay(150, { to: 'gateway' });
      await pause(1500);
      await recorder.live();
    }));
  });

  for (const link of LINKS) {
    fault(`nothing comes on the connection of the ${link} for 2.5 s`, { expected: 'exact, no gap', isExtra: link === 'tail' }, async (t, report) => {
      assertNothingWasLost(await survive(t, report, async ({ proxy }) => {
        proxy.stall({ link, to: 'gateway' });
        await pause(2500);
      }));
    });
  }

  fault('nothing arrives at Redis for 2.5 s', { expected: 'exact, no gap' }, async (t, report) => {
    assertNothingWasLost(await survive(t, report, async ({ proxy }) => {
      proxy.stall({ to: 'redis' });
      await pause(2500);
    }));
  });

  fault('commands stay without an answer for longer than `redis_timeout`', { expected: EXPECTED }, async (t, report) => {
    await survive(t, report, async ({ proxy, gateway }) => {
      proxy.stall({ link: 'commands', to: 'gateway' });
      await until('the link is made anew', () => /link=(commands|worker-\d+).*no answer within 1000 ms/.test(gateway.log), 10000);
    }, { flags: ['--redis-timeout', '1s'] });
  });

  fault('connections are reset at random', { expected: EXPECTED }, async (t, report) => {
    await survive(t, report, async ({ proxy }) => {
      for (let round = 0; round < 12; round++) {
        await pause(Math.random() * 250);
        proxy.cut({ link: LINKS[round % LINKS.length] });
      }
    });
  });

  fault('connections end in the middle of a message', { expected: EXPECTED }, async (t, report) => {
    await survive(t, report, async ({ proxy, recorder }) => {
      for (let bytes = 1; bytes < 400; bytes += 37) {
        proxy.truncate(bytes, { to: 'gateway', link: LINKS[bytes % LINKS.length] });
        await pause(150);
        if (bytes % 5 === 0) await recorder.live();
      }
    });
  });

  fault('requests end in the middle', { expected: EXPECTED, isExtra: true }, async (t, report) => {
    await survive(t, report, async ({ proxy }) => {
      for (let bytes = 1; bytes < 200; bytes += 41) {
        proxy.truncate(bytes, { to: 'redis', link: 'commands' });
        proxy.truncate(bytes * 2, { to: 'redis', link: 'tail' });
        await pause(300);
      }
    });
  });

  fault('new connections are refused for 2 s', { expected: EXPECTED }, async (t, report) => {
    await survive(t, report, async ({ proxy }) => {
      proxy.refuse();
      proxy.cut();
      await pause(2000);
    });
  });

  fault('the gateway is let in, and thrown out at once, for 3 s', { expected: EXPECTED }, async (t, report) => {
    await survive(t, report, async ({ proxy, gateway }) => {
      proxy.intercept('PING', (_, connection) => {
        setTimeout(() => connection.reset(), 5);
      });
      proxy.cut();
      await pause(3000);
      assert.ok(proxy.accepted < 12 * gateway.linkCount, `${proxy.accepted} attempts to connect`);
    });
  });

  for (const [command, answer] of [['XREAD', '-LOADING Redis is loading the dataset in memory'], ['EXEC', '-BUSY Redis is busy running a script'],
    ['XREAD', '-ERR something unheard of'], ['EXEC', '-EXECABORT Transaction discarded because of previous errors.']]) {
    fault(`${command} is answered ${answer.split(' ')[0].slice(1)} for 1.5 s`, { expected: EXPECTED, isExtra: /unheard|EXECABORT/.test(answer) }, async (t, report) => {
      let answered = 0;
      await survive(t, report, async ({ proxy }) => {
        proxy.intercept(command, (_, connection) => {
          answered++;
          connection.answer(`${answer}\r\n`);
          return 'drop';
        });
        if (command === 'XREAD') proxy.cut({ link: 'tail' });
        await until('it is asked', () => answered > 0, 10000);
        await pause(1500);
      });
      assert.ok(answered < 500, `it was asked ${answered} times in 1.5 s`);
      report.saw(`asked ${answered} times`);
    });
  }

  fault('nothing comes on any connection until they are given up', { expected: EXPECTED, isExtra: true }, async (t, report) => {
    await survive(t, report, async ({ proxy, gateway }) => {
      proxy.stall();
      await until('the feed is given up', () => /link=feed.*no answer to PING/.test(gateway.log), 20000);
      proxy.cut();
    });
  });
});
