// What settings and features cost and give: waiting to coalesce, compression, workers. As scenarios.mjs.

import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { makeFolder, removeFolder, startProcess } from '../support/processes.mjs';
import { until } from '../support/wait.mjs';
import { processesOf, wrapped } from './machine.mjs';
import { latencies, paced, perMillion } from './scenarios.mjs';
import { serverPort } from './servers.mjs';
import { accepts } from './targets.mjs';

const bytesPerDelivery = ({ deliveredBytes, deliveries }) => deliveredBytes / deliveries;

// --- waiting to coalesce ---

const WAITS_MS = [0, 2, 5, 10];

function coalescing({ quick }) {
  const load = paced(quick ? 2 : 5, 200, { clients: 1000 });
  return {
    id: 'K1',
    title: '1,000 clients, 200 messages/s, by coalesce_ms',
    targets: ['sluice'],
    needs: ['--coalesce-ms'],
    runs: Object.fromEntries(WAITS_MS.map((wait) => [`ms${wait}`, { ...load, serverFlags: { sluice: ['--coalesce-ms', String(wait)] } }])),
    figures: (results) => Object.fromEntries(WAITS_MS.flatMap((wait) => {
      const run = results[`ms${wait}`];
      return [[`cpu${wait}`, perMillion(run)], [`p50${wait}`, run.latencyMs.p50], [`p99${wait}`, run.latencyMs.p99]];
    })),
    labels: Object.fromEntries(WAITS_MS.flatMap((wait) => [
      [`cpu${wait}`, `${wait} ms: CPU s per million deliveries`], [`p50${wait}`, `${wait} ms: p50 ms`], [`p99${wait}`, `${wait} ms: p99 ms`],
    ])),
    bars: [],
  };
}

// --- compression ---

const NGINX = '/usr/sbin/nginx';

/** nginx as a proxy that compresses for each client anew, as it is usually set up for streams. */
async function withCompressingProxy({ port, cores }, use) {
  const folder = makeFolder();
  const proxyPort = await serverPort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`).join(' ');
  writeFileSync(join(folder, 'nginx.conf'), `daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid ${folder}/nginx.pid; error_log ${folder}/error.log error;
    events { worker_connections 20000; }
    http { access_log off; ${temporary} server { listen 127.0.0.1:${proxyPort} backlog=4096;
      location / { proxy_pass http://127.0.0.1:${port}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Accept-Encoding "";
        proxy_buffering off; proxy_read_timeout 1h; gzip on; gzip_proxied any; gzip_min_length 0; gzip_types text/event-stream; } } }`);
  const [program, ...words] = wrapped([NGINX, '-p', folder, '-e', join(folder, 'error.log'), '-c', join(folder, 'nginx.conf')], cores?.server.slice(0, 1));
  const nginx = startProcess(program, words);
  try {
    await until('nginx is ready', () => accepts(proxyPort));
    return await use(proxyPort, processesOf(nginx.pid).map(({ pid }) => pid));
  } finally {
    await nginx.stop('SIGTERM').catch(() => {});
    removeFolder(folder);
  }
}

async function compress(server, load, options) {
  const plain = await load({ ...options, 'channel-prefix': 'plain-' });
  const gzip = await load({ ...options, 'channel-prefix': 'gzip-', gzip: 'yes' });
  const proxied = existsSync(NGINX) && await withCompressingProxy(server, (port, pids) =>
    load({ ...options, 'channel-prefix': 'proxied-', gzip: 'yes', server: `127.0.0.1:${port}`, serverPids: pids }));
  return { plain, gzip, proxied };
}

function compressing({ quick }) {
  const options = { ...paced(quick ? 2 : 5, 20, { clients: 500, filler: 'words', 'payload-bytes': 2000 }), 'connecting-max': 50, 'settle-ms': 2600 };
  return {
    id: 'G1',
    title: '500 clients, 20 messages/s of 2 KB, with and without gzip',
    targets: ['sluice'],
    needs: ['--compress'],
    measure: (server, load) => compress(server, load, options),
    figures: ({ plain, gzip, proxied }) => ({
      bytes: bytesPerDelivery(plain), bytesGzip: bytesPerDelivery(gzip), bytesProxied: proxied ? bytesPerDelivery(proxied) : NaN,
      cpu: perMillion(plain), cpuGzip: perMillion(gzip), cpuProxied: proxied ? perMillion(proxied) : NaN,
      memory: (gzip.serverMemoryBytes.idle.anonymous - gzip.serverMemoryBytes.before.anonymous) / gzip.healthy.clients,
      memoryProxied: proxied ? (proxied.serverMemoryBytes.after.anonymous - proxied.serverMemoryBytes.before.anonymous) / proxied.healthy.clients : NaN,
    }),
    labels: {
      bytes: 'bytes per delivery, plain', bytesGzip: 'bytes per delivery, gzip', bytesProxied: 'bytes per delivery, gzip by nginx',
      cpu: 'CPU s per million deliveries, plain', cpuGzip: 'CPU s per million deliveries, gzip', cpuProxied: 'CPU s per million deliveries of nginx alone, gzip',
      memory: 'bytes of memory per client, gzip', memoryProxied: 'bytes of memory per client of nginx, gzip',
    },
    bars: [],
  };
}

// --- workers ---

/** As many as servers have cores (machine.mjs); with two cores, the second worker shares that of the load. */
function workerSteps(cores) {
  return cores < 4 ? [1, 2] : [1, 2, 4, 8, 16].filter((count) => count <= Math.floor(cores / 2));
}

function workers({ quick }) {
  const cores = availableParallelism();
  const steps = workerSteps(cores);
  // Half of the cores are the servers', one is Redis', one the publisher's.
  const processes = Math.max(1, cores - Math.floor(cores / 2) - 2);
  const flags = (count) => ({ sluice: ['--workers', String(count)], limit: ['--processes', String(count)], coalesced: ['--processes', String(count)] });
  const server = (count) => ({ serverFlags: flags(count), serverCores: count, processes });
  const clients = processes > 1 ? 16000 : 4000;
  const rate = processes > 1 ? 100 : 25;
  const runs = steps.flatMap((count) => [
    [`burst${count}`, { ...server(count), clients, rate: 0, messages: quick ? 1000 : 4000, 'settle-ms': 500 }],
    [`paced${count}`, { ...server(count), ...paced(quick ? 2 : 5, rate, { clients }) }],
  ]);
  const each = (make) => Object.fromEntries(steps.flatMap(make));
  return {
    id: 'W1',
    title: `${clients} clients on one channel, by workers: a burst, and ${rate} messages/s`,
    targets: ['limit', 'coalesced', 'sluice'],
    needs: ['--workers'],
    runs: Object.fromEntries(runs),
    figures: (results) => ({
      ...each((count) => {
        const burst = results[`burst${count}`], steady = results[`paced${count}`];
        return [
          [`burst${count}`, burst.deliveriesPerSecond], [`burstCpu${count}`, perMillion(burst)], [`rate${count}`, steady.deliveriesPerSecond],
          [`cpu${count}`, perMillion(steady)], [`p99${count}`, latencies(steady).p99],
        ];
      }),
      gain: results.burst2 ? results.burst2.deliveriesPerSecond / results.burst1.deliveriesPerSecond : NaN,
    }),
    labels: {
      ...each((count) => [
        [`burst${count}`, `${count}: deliveries/s in a burst`], [`burstCpu${count}`, `${count}: CPU s per million deliveries in it`],
        [`rate${count}`, `${count}: deliveries/s at ${rate} messages/s`], [`cpu${count}`, `${count}: CPU s per million deliveries`], [`p99${count}`, `${count}: p99 ms`],
      ]),
      gain: 'two workers ÷ one, burst',
    },
    bars: cores < 4 ? [] : [{ name: 'W1 deliveries/s, two workers ÷ one', figure: 'gain', strict: 1.7, atLeast: true }],
  };
}

export function featureScenarios(options) {
  return [coalescing(options), compressing(options), workers(options)];
}
