// Child processes and temporary folders that never outlive the test process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { within } from './wait.mjs';

const children = new Set();
const folders = new Set();

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

/** What a test leaves open after the last one of its file is no reason to wait for the end of the world. */
const LEAVE_MS = 3000;
const isTest = process.argv[1]?.endsWith('.test.mjs');
if (isTest) {
  after(() => {
    const leave = () => {
      console.error(`left open by ${process.argv[1]}: ${process.getActiveResourcesInfo().join(' ')}`);
      process.exit();
    };
    setTimeout(leave, LEAVE_MS).unref();
  });
}

/** A new empty folder with a short path (unix socket names are limited to 107 bytes). */
export function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  folders.delete(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** A TCP port on loopback that was free a moment ago. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts a program. The result has `child`, `pid`, what it wrote so far as `output`, `exited` (a promise of {code, signal}),
 * and waits with `sees(pattern)` and `ends()`.
 */
export function startProcess(program, args, { environment = {}, input = 'ignore' } = {}) {
  const child = spawn(program, args, { env: { ...process.env, ...environment }, stdio: [input, 'pipe', 'pipe'] });
  const watchers = new Set();
  const process_ = {
    child,
    pid: child.pid,
    output: '',
    stdout: '',
    exited: new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    }),
    /** Resolves with the match once the output has it; only what comes after `from` characters is looked at. */
    sees(pattern, { from = 0, milliseconds = 10000 } = {}) {
      const found = new Promise((resolve, reject) => {
        const look = (ended) => {
          const match = process_.output.slice(from).match(pattern);
          if (match) resolve(match);
          else if (ended) reject(new Error(`${program} ended without ${pattern}:\n${process_.output}`));
          else return;
          watchers.delete(look);
        };
        watchers.add(look);
        look(child.exitCode !== null);
      });
      return within(milliseconds, `${pattern} in the output of ${program}`, found);
    },
    kill: (signal) => child.kill(signal),
    /** Waits for its end: {code, signal}. */
    ends: (milliseconds = 10000) => within(milliseconds, `end of ${program}`, process_.exited),
    /** Ends it, by force if it does not go. */
    async stop(signal = 'SIGTERM', milliseconds = 10000) {
      child.kill(signal);
      try {
        return await process_.ends(milliseconds);
      } catch (problem) {
        child.kill('SIGKILL');
        await process_.exited;
        throw problem;
      }
    },
  };
  children.add(child);
  // A test that failed and left its processes behind must not keep the test process from ending; 'exit' above ends them.
  for (const handle of [child, child.stdout, child.stderr]) handle.unref();
  process_.exited.catch(() => {}).finally(() => {
    children.delete(child);
    for (const look of [...watchers]) look(true);
  });
  const collect = (bytes) => {
    process_.output += bytes;
    for (const look of [...watchers]) look(false);
  };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    process_.stdout += text;
    collect(text);
  });
  child.stderr.setEncoding('utf8').on('data', collect);
  return process_;
}

/** Runs a program to its end. */
export async function runProcess(program, args, { input, milliseconds = 10000, ...options } = {}) {
  const running = startProcess(program, args, { ...options, input: input === undefined ? 'ignore' : 'pipe' });
  if (input !== undefined) running.child.stdin.end(input);
  try {
    const { code, signal } = await running.ends(milliseconds);
    return { code, signal, output: running.output, stdout: running.stdout };
  } catch (problem) {
    running.kill('SIGKILL');
    throw problem;
  }
}
