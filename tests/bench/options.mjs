// The command line of ./dev bench.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const USAGE = `usage: ./dev bench [quick] [options]
  quick                 one short round of the first scenarios, within three minutes
  --install-peers       installs the other servers (Debian: nginx, libnginx-mod-nchan, webdis, pushpin; npm: ioredis,
                        better-sse) and ends; those that are not installed are left out, and the report says so
  --rounds N            how often everything is measured (default: 3, quick: 1): some ten minutes each, and as many for the
                        other servers
  --peer-rounds N       and of these, in how many the other servers are (default: all of them)
  --scenarios S1,S4     only these (S6 is part of S3)
  --targets limit,…     only these; default: limit,coalesced,sluice and all other servers, quick: of these only nchan-redis
  --no-peers            without the other servers
  --write-docs          and writes the tables into docs/PERFORMANCE.md and the chart, docs/performance.svg
  --from FILE.json      measures nothing and reports on an earlier run; several with commas between them become one
  --build FOLDER        where sluice and tests/bench/{limit,load} are (default: build)
  --redis-server FILE   the redis-server to use (default: the one in PATH)
  --sluice-flag FLAG    one more word for sluice's command line; may be repeated`;

export function fail(message) {
  console.error(`bench: ${message}`);
  process.exit(2);
}

const OPTIONS = {
  rounds: { type: 'string' },
  'peer-rounds': { type: 'string' },
  scenarios: { type: 'string' },
  targets: { type: 'string' },
  'no-peers': { type: 'boolean', default: false },
  'write-docs': { type: 'boolean', default: false },
  from: { type: 'string' },
  build: { type: 'string', default: 'build' },
  'redis-server': { type: 'string', default: 'redis-server' },
  'sluice-flag': { type: 'string', multiple: true, default: [] },
  help: { type: 'boolean', short: 'h', default: false },
};

function count(name, text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) fail(`not a number of rounds: --${name} ${text}`);
  return number;
}

export function readOptions() {
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS });
    if (values.help || positionals.some((word) => word !== 'quick')) {
      console.log(USAGE);
      process.exit(values.help ? 0 : 2);
    }
    const quick = positionals.includes('quick');
    const rounds = count('rounds', values.rounds ?? (quick ? 1 : 3));
    return {
      quick,
      rounds,
      peerRounds: count('peer-rounds', values['peer-rounds'] ?? rounds),
      build: values.build.startsWith('/') ? values.build : join(ROOT, values.build),
      only: values.scenarios?.split(','),
      targets: values.targets?.split(','),
      noPeers: values['no-peers'],
      writeDocs: values['write-docs'],
      from: values.from?.split(','),
      redisServer: values['redis-server'],
      sluiceFlags: values['sluice-flag'],
    };
  } catch (problem) {
    return fail(`${problem.message}\n${USAGE}`);
  }
}
