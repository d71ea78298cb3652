// Brings the parts of the page together; each knows only its own section.

import { startBatches } from './batches.js';
import { startConsole } from './console.js';
import { byId, setText } from './dom.js';
import { startFigures } from './figures.js';
import { startPublish } from './publish.js';
import { startShortcuts } from './shortcuts.js';
import { startStreams } from './streams.js';
import { startTheme } from './theme.js';

const nextTheme = startTheme();
setText(byId('host'), location.host);
const eventConsole = startConsole();
const streams = startStreams({ onWatch: (name) => eventConsole.watchStream(name) });
startFigures({ onAnswer: (answer) => streams.draw(answer?.streams) });
startBatches({
  onWatch: (id) => eventConsole.watchBatch(id),
  onDemo: () => eventConsole.suggest({ kind: 'channel', name: 'demo:events' }),
});
startPublish();
startShortcuts([
  { key: 'b', text: 'follow another batch', run: () => byId('batch-id').focus() },
  { key: 't', text: 'listen to another topic', run: () => byId('topic-name').focus() },
  { key: 'c', text: 'connect or disconnect the console', run: () => byId('connect').click() },
  { key: 's', text: 'pause or resume the console', run: () => eventConsole.togglePause() },
  { key: '/', text: 'filter the console', run: () => byId('filter').focus() },
  { key: 'p', text: 'publish an event', run: () => byId('publish-channel').focus() },
  { key: 'd', text: 'light, dark, or as the system says', run: nextTheme },
]);
