// Runs the benchmark: every scenario against every target, in turn within each round so that a drifting machine shows on all alike.
// The server under test has one core to itself; Redis and the load generator share another.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort, makeFolder, removeFolder, startProcess } from '../support/processes.mjs';
import { until } from '../support/wait.mjs';
import { describeMachine, pickCores, pin, prefer, wrapped } from './machine.mjs';
import { judge, markdown } from './report.mjs';
import { scenarios } from './scenarios.mjs';
import { streamScenarios } from './stream_scenarios.mjs';
import { CLEAN_ENVIRONMENT, loadTargets } from './targets.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LOAD_SECONDS_MAX = 120;

const USAGE = `usage: ./dev bench [quick] [options]
  quick                one short round, some two minutes; without it, some ten
  --rounds N           how often everything is measured (default: 3, quick: 1)
  --scenarios S1,S4    only these (S6 is part of S3)
  --targets limit,…    only these (default: limit,coalesced,sluice)
  --build FOLDER       where sluice and tests/bench/{limit,load} are (default: build)
  --sluice-flag FLAG   one more word for sluice's command line; may be repeated`;

function fail(message) {
  console.error(`bench: ${message}`);
  process.exit(2);
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        scenarios: { type: 'string' },
        targets: { type: 'string', default: 'limit,coalesced,sluice' },
        build: { type: 'string', default: 'build' },
        'sluice-flag': { type: 'string', multiple: true, default: [] },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help || positionals.some((word) => word !== 'quick')) {
      console.log(USAGE);
      process.exit(values.help ? 0 : 2);
    }
    const quick = positionals.includes('quick');
    const rounds = Number(values.rounds ?? (quick ? 1 : 3));
    if (!Number.isInteger(rounds) || rounds < 1) fail(`not a number of rounds: ${values.rounds}`);
    const build = values.build.startsWith('/') ? values.build : join(ROOT, values.build);
    return { quick, rounds, build, only: values.scenarios?.split(','), targets: values.targets.split(','), sluiceFlags: values['sluice-flag'] };
  } catch (problem) {
    return fail(`${problem.message}\n${USAGE}`);
  }
}

async function startRedis(folder, core) {
  const redisSocket = join(folder, 'redis.sock');
  const redisPort = await freePort();
  const args = ['--port', redisPort, '--bind', '127.0.0.1', '--unixsocket', redisSocket, '--dir', folder, '--save', '', '--appendonly', 'no'];
  const [program, ...words] = wrapped(['redis-server', ...args.map(String)], core);
  const redis = startProcess(program, words);
  await redis.sees(/ready to accept connections/i);
  await prefer(redis.pid);
  return { redis, redisSocket, redisPort };
}

/** Starts a target, has `use({port, pid})` work with it, and ends it whatever happens. */
async function withServer(target, place, core, use) {
  const port = await freePort();
  const folder = makeFolder();
  const [program, ...words] = wrapped(target.command({ ...place, port, folder }), core);
  const server = startProcess(program, words, { environment: CLEAN_ENVIRONMENT });
  const ended = server.exited.then(({ code, signal }) => {
    throw new Error(`${target.name} ended with ${code ?? signal}:\n${server.output.slice(-2000)}`);
  });
  ended.catch(() => {});
  try {
    await Promise.race([until(`${target.name} is ready`, () => target.isReady(port), 10000), ended]);
    await prefer(server.pid);
    return await Promise.race([use({ ...place, port, pid: server.pid }), ended]);
  } finally {
    await server.stop('SIGKILL').catch(() => {});
    removeFolder(folder);
  }
}

/** How a load that is measured and one that is only there share a core: the first never waits for the second, nor for Redis. */
const PRIORITIES = { first: ['chrt', '--fifo', '1'], last: ['chrt', '--idle', '0'], usual: [] };

async function runLoad(target, { path = target.path, priority = 'usual', ...options }, { port, pid, redisSocket, build }, core) {
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const [program, ...words] = wrapped([...PRIORITIES[priority], `${build}/tests/bench/load`, '--server', `127.0.0.1:${port}`, '--redis', `unix:${redisSocket}`,
    '--server-pid', String(pid), '--path', path, '--joined-by', target.joinedBy, '--time-limit-s', String(LOAD_SECONDS_MAX), ...flags], core);
  const load = startProcess(program, words);
  prefer(load.pid, priority === 'last' ? 19 : undefined);
  const { code, signal } = await load.ends((LOAD_SECONDS_MAX + 5) * 1000);
  if (code !== 0) throw new Error(`load ended with ${code ?? signal}: ${load.output.slice(-500).trim()}`);
  return JSON.parse(load.stdout);
}

async function measure(scenario, target, place, cores) {
  const load = (server) => (options) => runLoad(target, options, server, cores?.load);
  if (scenario.measure) return { main: await withServer(target, place, cores?.server, (server) => scenario.measure(server, load(server))) };
  const results = {};
  for (const [name, options] of Object.entries(scenario.runs))
    results[name] = await withServer(target, place, cores?.server, (server) => runLoad(target, options, server, cores?.load));
  return results;
}

async function main() {
  const options = readOptions();
  const targets = await loadTargets(options.build, options.targets).catch((problem) => fail(problem.message));
  const chosen = [...scenarios(options), ...streamScenarios(options)].filter(({ id }) => !options.only || options.only.includes(id));
  if (chosen.length === 0) fail(`no such scenario: ${options.only}`);
  const cores = pickCores();
  const machine = { ...describeMachine(ROOT), pinned: Boolean(cores) };
  pin(process.pid, cores?.load);
  const folder = makeFolder();
  const { redis, redisSocket, redisPort } = await startRedis(folder, cores?.load);
  const place = { redisSocket, redisPort, build: options.build, sluiceFlags: options.sluiceFlags };

  const records = [];
  const failures = [];
  for (let round = 0; round < options.rounds; round++) {
    for (const scenario of chosen) {
      const applying = targets.filter(({ name }) => scenario.targets.includes(name) || !['limit', 'coalesced', 'sluice'].includes(name));
      for (let i = 0; i < applying.length; i++) {
        const target = applying[(i + round) % applying.length];
        console.error(`round ${round + 1}/${options.rounds}: ${scenario.id} ${target.name}`);
        try {
          const runs = await measure(scenario, target, place, cores);
          const figures = scenario.figures(scenario.measure ? runs.main : runs);
          records.push({ round, scenario: scenario.id, target: target.name, figures, runs });
        } catch (problem) {
          failures.push(`${scenario.id} ${target.name}: ${problem.message}`);
          console.error(`  ${problem.message}`);
        }
      }
    }
  }
  await redis.stop();
  removeFolder(folder);

  const bars = judge(chosen, records, options.rounds);
  const text = markdown({ machine, scenarios: chosen, records, targets, bars, rounds: options.rounds, failures });
  const results = join(options.build, 'bench');
  mkdirSync(results, { recursive: true });
  const file = join(results, machine.date.replace(/[:.]/g, '-'));
  writeFileSync(`${file}.json`, `${JSON.stringify({ machine, options, bars, failures, records }, null, 2)}\n`);
  writeFileSync(`${file}.md`, text);
  console.log(text);
  console.log(`Everything: ${file}.json`);
  process.exitCode = failures.length ? 1 : 0;
}

await main();
