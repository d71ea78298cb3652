// What it costs to know who connects. As scenarios.mjs.

import { SECRET, claims, makeToken, seconds } from '../support/tokens.mjs';
import { SOME } from './scenarios.mjs';

const PREFIX = 'bench-';

/** As an application gives them out: each for somebody else, signed a while ago, of one issuer. */
function tokens(count) {
  const issued = seconds(-60);
  return Array.from({ length: count }, (_, i) => makeToken(
    claims({ subscribe: [`user:u-${100000 + i}.*`, `${PREFIX}*`] }, { sub: `u-${100000 + i}`, iat: issued, iss: 'https://app.example.com' })));
}

const authorization = (count) => () => tokens(count).map((token) => `Authorization: Bearer ${token}`);

/** A gateway takes its own ones only, as it should. */
const KNOWN = ['--jwt-secret', SECRET, '--jwt-issuer', 'https://app.example.com'];

function connecting() {
  const load = { clients: SOME, 'channel-prefix': PREFIX, 'settle-ms': 100 };
  const one = (flags, more) => ({ ...load, ...more, serverFlags: { sluice: flags } });
  const two = (flags, more) => ({ ...one(['--workers', '2', ...flags], more), serverCores: 2 });
  const cpu = ({ serverCpuSeconds, healthy }) => (serverCpuSeconds.connect.total / healthy.clients) * 10000;
  const each = { headers: authorization(SOME) };
  return {
    id: 'A1',
    title: `${SOME} clients connect: who they are, and CPU s for 10,000`,
    targets: ['sluice'],
    needs: ['--jwt-secret'],
    runs: {
      open: one([]),
      openHeader: one([], each),
      same: one([...KNOWN, '--streams-per-subject-max', '0'], { headers: authorization(1) }),
      each: one(KNOWN, each),
      openTwo: two([]),
      eachTwo: two(KNOWN, each),
    },
    figures: (runs) => ({
      ...Object.fromEntries(Object.entries(runs).map(([name, run]) => [name, cpu(run)])),
      ratio: cpu(runs.each) / cpu(runs.open),
      ratioTwo: cpu(runs.eachTwo) / cpu(runs.openTwo),
    }),
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
  };
}

export function accessScenarios() {
  return [connecting()];
}
