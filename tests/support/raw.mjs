// HTTP as bytes on a socket, for requests that no client library would send.

import { connect } from 'node:net';
import { within } from './wait.mjs';

/** A connection of which the test decides every byte. */
export class RawConnection {
  /** `localAddress` is whom it comes from, such as 127.0.0.2. */
  constructor(port, localAddress) {
    this.text = '';
    this.watchers = new Set();
    this.isClosed = false;
    this.socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text) => {
      this.text += text;
      for (const look of [...this.watchers]) look();
    });
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.socket.once('close', () => {
        this.isClosed = true;
        resolve();
        for (const look of [...this.watchers]) look();
      });
    });
  }

  send(text) {
    if (!this.isClosed) this.socket.write(text, 'latin1');
  }

  /** The match once `pattern` is in what came back. */
  sees(pattern, milliseconds = 5000) {
    let look;
    const seen = new Promise((resolve, reject) => {
      look = () => {
        const match = this.text.match(pattern);
        if (match) resolve(match);
        else if (this.isClosed) reject(new Error(`closed before ${pattern}; got ${JSON.stringify(this.text.slice(0, 400))}`));
      };
      this.watchers.add(look);
      look();
    });
    return within(milliseconds, `${pattern}`, seen).finally(() => this.watchers.delete(look));
  }

  /** Waits for the server to close, and returns all that it said. */
  async end(milliseconds = 5000) {
    await within(milliseconds, `close by the server (it said ${JSON.stringify(this.text.slice(0, 200))})`, this.closed);
    return this.text;
  }

  close() {
    this.socket.destroy();
    return this.closed;
  }
}

/** The status codes in what came back, in order. */
export function statuses(text) {
  return [...text.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map((match) => Number(match[1]));
}

/** Sends `text`, waits for the first status line, and returns that status; the connection is closed. */
export async function statusOf(port, text, milliseconds = 5000) {
  const connection = new RawConnection(port);
  connection.send(text);
  try {
    const [, status] = await connection.sees(/^HTTP\/1\.[01] (\d{3})/, milliseconds);
    return Number(status);
  } finally {
    await connection.close();
  }
}
