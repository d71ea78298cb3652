// Another host: a network namespace of its own, with a cable (a veth pair) to ours that can be unplugged.

import { spawnSync } from 'node:child_process';

const spaces = new Set();
process.once('exit', () => {
  for (const space of spaces) space.remove();
});

function ip(...args) {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

class Namespace {
  constructor(number) {
    this.name = `sluice-${number}`;
    this.ours = `slu${number}a`;
    this.theirs = `slu${number}b`;
    const net = `10.213.${number % 250}`;
    this.here = `${net}.1`;
    /** Where what runs there is reached from here. */
    this.address = `${net}.2`;
  }

  create() {
    spaces.add(this);
    ip('netns', 'add', this.name);
    ip('link', 'add', this.ours, 'type', 'veth', 'peer', 'name', this.theirs, 'netns', this.name);
    ip('addr', 'add', `${this.here}/24`, 'dev', this.ours);
    ip('-n', this.name, 'addr', 'add', `${this.address}/24`, 'dev', this.theirs);
    ip('link', 'set', this.ours, 'up');
    ip('-n', this.name, 'link', 'set', this.theirs, 'up');
    ip('-n', this.name, 'link', 'set', 'lo', 'up');
    // Neighbours that are known for good: unplugged, packets vanish instead of coming back as "no route to host".
    ip('neigh', 'replace', this.address, 'lladdr', this.#hardware('-n', this.name, 'link', 'show', this.theirs), 'dev', this.ours, 'nud', 'permanent');
    ip('-n', this.name, 'neigh', 'replace', this.here, 'lladdr', this.#hardware('link', 'show', this.ours), 'dev', this.theirs, 'nud', 'permanent');
  }

  #hardware(...args) {
    const { stdout } = spawnSync('ip', args, { encoding: 'utf8' });
    return stdout.match(/link\/ether (\S+)/)[1];
  }

  /** Words before a program that is to run there. */
  get launcher() {
    return ['ip', 'netns', 'exec', this.name];
  }

  unplug() {
    ip('-n', this.name, 'link', 'set', this.theirs, 'down');
  }

  plug() {
    ip('-n', this.name, 'link', 'set', this.theirs, 'up');
    // Taking the link down has forgotten the neighbour.
    ip('-n', this.name, 'neigh', 'replace', this.here, 'lladdr', this.#hardware('link', 'show', this.ours), 'dev', this.theirs, 'nud', 'permanent');
  }

  /** The pair goes with its end in the namespace. */
  remove() {
    spaces.delete(this);
    spawnSync('ip', ['link', 'del', this.ours]);
    spawnSync('ip', ['netns', 'del', this.name]);
  }
}

/** Makes a namespace, removed after test `t` or with the process. Needs root. */
export function makeNamespace(t) {
  const space = new Namespace(process.pid);
  t.after(() => space.remove());
  space.create();
  return space;
}
