// Single keys, and the dialog that tells of them. They can be switched off: who speaks to the computer types letters by accident
// (WCAG 2.1.4).

import { byId, element, remember, remembered } from './dom.js';

/** `actions`: [{key, text, run}]; `?` is added. */
export function startShortcuts(actions) {
  const dialog = byId('help');
  const isOn = byId('shortcuts-on');
  const openHelp = () => dialog.showModal();
  const all = [{ key: '?', text: 'this help', run: openHelp }, ...actions];

  isOn.checked = remembered('shortcuts', true) !== false;
  isOn.addEventListener('change', () => remember('shortcuts', isOn.checked));
  byId('open-help').addEventListener('click', openHelp);
  byId('shortcut-list').append(
    ...all.map(({ key, text }) => element('div', {}, element('dt', {}, element('kbd', {}, key)), element('dd', {}, text))),
  );

  document.addEventListener('keydown', (event) => {
    if (!isOn.checked || dialog.open || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const action = all.find(({ key }) => key === event.key);
    if (!action) return;
    event.preventDefault();
    action.run();
  });
}

function isTyping(target) {
  return target.closest('input, textarea, select, [contenteditable]') !== null;
}
