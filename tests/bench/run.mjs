// Runs the benchmark: every scenario against every target, in turn within each round so that a drifting machine shows on all alike.
// The server under test has one core to itself; Redis and the load generator share another.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, removeFolder } from '../support/processes.mjs';
import { writeDocs } from './docs.mjs';
import { describeMachine, pickCores, pin } from './machine.mjs';
import { ROOT, fail, readOptions } from './options.mjs';
import { judge, markdown } from './report.mjs';
import { allScenarios } from './scenarios.mjs';
import { runLoad, startRedis, withServer } from './servers.mjs';
import { loadTargets } from './targets.mjs';

/** A peer's own options for a scenario, where it cannot do what the others do. */
function adjusted(target, scenario, options) {
  const own = target.adjust?.[scenario.id]?.options;
  return { ...options, ...(typeof own === 'function' ? own(options) : own) };
}

async function measure(scenario, target, place) {
  if (scenario.measure) {
    const use = (server) => scenario.measure(server, (options) => runLoad(server, options));
    return { main: await withServer(target, place, scenario, use) };
  }
  const results = {};
  for (const [name, options] of Object.entries(scenario.runs)) {
    const own = adjusted(target, scenario, options);
    results[name] = await withServer(target, place, own, (server) => runLoad(server, own));
  }
  return results;
}

function applies(scenario, target, round, { peerRounds }) {
  if (!scenario.targets.includes(target.isPeer ? 'peers' : target.name)) return false;
  return !target.isPeer || round < peerRounds;
}

/** Why a target has no part in a scenario that it otherwise would; undefined when it has. */
function reasonAgainst(scenario, target) {
  if (target.cannot?.[scenario.id]) return target.cannot[scenario.id];
  const needed = target.isPeer || !scenario.needs ? [] : scenario.needs;
  const missing = needed.filter((flag) => target.flags && !target.flags.includes(flag));
  return missing.length ? `this build has no ${missing.join(', ')}` : undefined;
}

async function measureAll(options, chosen, targets, place) {
  const records = [];
  const failures = [];
  const notes = new Set();
  for (let round = 0; round < options.rounds; round++) {
    for (const scenario of chosen) {
      const applying = targets.filter((target) => applies(scenario, target, round, options));
      for (let i = 0; i < applying.length; i++) {
        const target = applying[(i + round) % applying.length];
        const reason = reasonAgainst(scenario, target);
        if (reason) {
          notes.add(`${scenario.id} not of ${target.title}: ${reason}`);
          continue;
        }
        if (target.adjust?.[scenario.id]) notes.add(`${scenario.id} of ${target.title} with ${target.adjust[scenario.id].why}`);
        console.error(`round ${round + 1}/${options.rounds}: ${scenario.id} ${target.name}`);
        try {
          const runs = await measure(scenario, target, place);
          const figures = scenario.figures(scenario.measure ? runs.main : runs);
          records.push({ round, scenario: scenario.id, target: target.name, figures, runs });
        } catch (problem) {
          failures.push(`${scenario.id} ${target.name}: ${problem.message}`);
          console.error(`  ${problem.message}`);
        }
      }
    }
  }
  return { records, failures, notes: [...notes] };
}

function chooseScenarios(options) {
  const all = allScenarios(options);
  const chosen = options.only ? all.filter(({ id }) => options.only.includes(id)) : all.filter(({ inQuick }) => !options.quick || inQuick);
  if (chosen.length === 0) fail(`no such scenario: ${options.only} (there are ${all.map(({ id }) => id).join(', ')})`);
  return chosen;
}

async function run(options) {
  const { targets, missing } = await loadTargets(options).catch((problem) => fail(problem.message));
  const chosen = chooseScenarios(options);
  const cores = pickCores();
  const machine = { ...describeMachine(ROOT, options.redisServer), pinned: Boolean(cores) };
  pin(process.pid, cores?.load);
  const folder = makeFolder();
  const { redis, redisSocket, redisPort } = await startRedis(folder, { ...options, cores });
  const place = { redisSocket, redisPort, build: options.build, sluiceFlags: options.sluiceFlags, cores };
  const measured = await measureAll(options, chosen, targets, place);
  await redis.stop();
  removeFolder(folder);
  const shown = targets.map(({ name, title, isPeer = false }) => ({ name, title, isPeer }));
  return { machine, rounds: options.rounds, targets: shown, missing, seconds: process.uptime(), ...measured };
}

/** Several earlier runs as one: where they measured the same, the later one's figures count. */
function merged(files) {
  const runs = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
  const last = runs.at(-1);
  const records = [];
  const has = (later, { scenario, target }) => later.records.some((record) => record.scenario === scenario && record.target === target);
  runs.forEach((one, i) => records.push(...one.records.filter((record) => !runs.slice(i + 1).some((later) => has(later, record)))));
  const targets = new Map(runs.flatMap((one) => one.targets).map((target) => [target.name, target]));
  const notes = [...new Set(runs.flatMap((one) => one.notes))];
  const missing = last.missing.filter(({ name }) => !records.some(({ target }) => target === name));
  const failures = runs.flatMap((one) => one.failures).filter((text) => !records.some(({ scenario, target }) => text.startsWith(`${scenario} ${target}:`)));
  return { ...last, records, notes, missing, failures, targets: [...targets.values()], rounds: Math.max(...runs.map((one) => one.rounds)) };
}

async function main() {
  const options = readOptions();
  const result = options.from ? merged(options.from) : await run(options);
  const scenarios = allScenarios(options);
  result.bars = judge(scenarios, result.records, result.rounds);
  const text = markdown({ ...result, scenarios });
  const results = join(options.build, 'bench');
  mkdirSync(results, { recursive: true });
  const file = join(results, new Date().toISOString().replace(/[:.]/g, '-'));
  writeFileSync(`${file}.json`, `${JSON.stringify(result, null, 2)}\n`);
  writeFileSync(`${file}.md`, text);
  console.log(text);
  console.log(`Everything: ${file}.json`);
  if (options.writeDocs) for (const written of writeDocs(ROOT, { ...result, scenarios })) console.log(`Written: ${written}`);
  process.exitCode = result.failures.length ? 1 : 0;
}

await main();
