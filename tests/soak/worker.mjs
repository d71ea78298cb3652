// A worker of a consumer group in the soak: it acknowledges, gives back, forgets, and goes away in the middle.

import http from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { SseParser } from '../support/sse.mjs';

export class Worker {
  constructor(world, jobs, name) {
    Object.assign(this, { world, jobs, name, isRunning: true });
    this.base = `/streams/${jobs.stream}/groups/soak`;
    this.running = this.#run();
  }

  async #run() {
    while (this.isRunning) {
      await this.#connect();
      if (this.isRunning) await pause(200);
    }
  }

  #connect() {
    let timer;
    const path = `${this.base}/events?consumer=${this.name}&start=0&idle=2s&max_deliveries=1000&prefetch=20`;
    return new Promise((resolve) => {
      this.request = http.get(this.world.origin + path, { agent: false });
      this.request.on('error', resolve).on('close', resolve);
      this.request.on('response', (response) => {
        const parser = new SseParser();
        response.on('error', resolve).on('close', resolve);
        response.on('data', (bytes) => {
          for (const event of parser.push(bytes)) if (event.event === 'message') this.#take(event);
        });
      });
      timer = setTimeout(() => this.request.destroy(), 5000 + Math.random() * 15000);
    }).finally(() => clearTimeout(timer));
  }

  async #take({ id, data }) {
    const chance = Math.random();
    if (chance < 0.02 || !this.isRunning) return; // it is delivered again
    const verb = chance < 0.05 ? 'nack' : 'ack';
    try {
      const response = await this.world.gateway.request('POST', `${this.base}/${verb}`, { body: { ids: [id] } });
      if (verb === 'ack' && response.status === 200) this.jobs.done(Number(JSON.parse(data).data.n));
    } catch {
      this.world.tally.uncertain++;
    }
  }

  async stop() {
    this.isRunning = false;
    this.request?.destroy();
    await this.running;
  }
}
