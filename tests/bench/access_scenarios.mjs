// What it costs to know who connects. As scenarios.mjs.

import { SECRET, claims, makeToken, seconds } from '../support/tokens.mjs';
import { runLoad, withServer } from './servers.mjs';

const PREFIX = 'bench-';
/** Gateways that are compared take turns with so many clients at a time, so that a machine that drifts does so for all of them. */
const TURN = 1000;

/** As an application gives them out: each for somebody else, signed a while ago, of one issuer. */
function tokens(count, first) {
  const issued = seconds(-60);
  return Array.from({ length: count }, (_, i) => makeToken(
    claims({ subscribe: [`user:u-${first + i}.*`, `${PREFIX}*`] }, { sub: `u-${first + i}`, iat: issued, iss: 'https://app.example.com' })));
}

const authorization = (count, first = 100000) => tokens(count, first).map((token) => `Authorization: Bearer ${token}`);

/** Each turn has tokens that the gateway has not seen before. */
const ofEach = (turn) => authorization(TURN, 100000 + turn * TURN);
const ofOne = () => authorization(1);

const KNOWN = ['--jwt-secret', SECRET, '--jwt-issuer', 'https://app.example.com', '--streams-per-subject-max', String(TURN)];

async function connect(server, headers, turn) {
  const { serverCpuSeconds, healthy } = await runLoad(server, {
    clients: TURN, 'channel-prefix': PREFIX, 'settle-ms': 0, 'leave-ms': 300, headers: headers && (() => headers(turn)),
  });
  if (healthy.joined !== TURN || healthy.otherEvents || healthy.disconnected) throw new Error(`not all were let in: ${JSON.stringify(healthy)}`);
  return serverCpuSeconds.connect.total;
}

/** CPU s of each way to connect, for 10,000 clients. */
async function inTurns(turns, ways) {
  const sums = Object.fromEntries(Object.keys(ways).map((name) => [name, 0]));
  for (let turn = 0; turn < turns; turn++) {
    const order = Object.entries(ways);
    if (turn % 2) order.reverse();
    for (const [name, { server, headers }] of order) sums[name] += await connect(server, headers, turn);
  }
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, (sum / turns / TURN) * 10000]));
}

function compare(turns) {
  return async (open) => {
    const start = (flags, serverCores, use) => withServer(open.target, open, { serverFlags: { sluice: flags }, serverCores }, use);
    const one = await start(KNOWN, 1, (known) => inTurns(turns, {
      open: { server: open }, openHeader: { server: open, headers: ofEach }, same: { server: known, headers: ofOne }, each: { server: known, headers: ofEach },
    }));
    const two = await start(['--workers', '2'], 2, (open2) => start(['--workers', '2', ...KNOWN], 2, (known) => inTurns(turns, {
      openTwo: { server: open2 }, eachTwo: { server: known, headers: ofEach },
    })));
    return { ...one, ...two };
  };
}

export function accessScenarios({ quick }) {
  return [{
    id: 'A1',
    title: 'to connect 10,000 clients, CPU s, by who they are',
    targets: ['sluice'],
    needs: ['--jwt-secret'],
    measure: compare(quick ? 3 : 10),
    figures: (cpu) => ({ ...cpu, ratio: cpu.each / cpu.open, ratioTwo: cpu.eachTwo / cpu.openTwo }),
    labels: {
      open: 'access: open',
      openHeader: 'access: open, and each sends a token that nobody looks at',
      same: 'HS256, all with one token',
      each: 'HS256, each with a token of his own',
      ratio: '… ÷ access: open',
      openTwo: 'two workers: access: open',
      eachTwo: 'two workers: HS256, each with a token of his own',
      ratioTwo: '… ÷ access: open',
    },
    bars: [
      { name: 'A1 CPU to connect, a token each ÷ open', figure: 'ratio', strict: 1.3 },
      { name: 'A1 the same with two workers', figure: 'ratioTwo', strict: 1.3 },
    ],
  }];
}
