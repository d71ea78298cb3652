// Node with better-sse, the most used library for this.

import { nodePeer } from './node_plain.mjs';

export default nodePeer({
  name: 'better-sse',
  title: 'Node, better-sse',
  server: 'better-sse/server.mjs',
  module: 'better-sse',
  adjust: { S4: { options: { messages: 1000 }, why: '1,000 messages: all 5,000 take it more than a minute' } },
});
