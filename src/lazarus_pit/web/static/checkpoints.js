// The checkpoints of a cell: bring one back, make a cell of it, check it, compare two.

import { act, fork, restore } from './actions.js';
import { ago } from './ages.js';
import { mayAct, place } from './api.js';
import { button, h, isInUse, keyed, say } from './dom.js';
import { labelOf } from './fleet.js';
import { choice, choices, form, offer } from './forms.js';
import { bytes, line, plain } from './words.js';

/** Return `{node, show(checkpoints), take(cell)}`. */
export function checkpointList() {
  let cell = null;
  const list = h('ul', { class: 'rows saved' });
  const none = h('p', { class: 'quiet' }, 'None yet.');
  const title = h('h3', { tabindex: '-1' }, 'Checkpoints');
  const compare = compareForm(() => cell);
  const make = (checkpoint) => saved(checkpoint, () => cell);
  const showRows = keyed(list, ({ id }) => id, make, () => isInUse(list));
  const show = (checkpoints) => {
    const newestFirst = [...checkpoints].reverse();
    none.hidden = checkpoints.length > 0;
    showRows(newestFirst);
    compare.show(newestFirst.map(({ id }) => id));
  };
  const take = (found) => (cell = found);
  const head = h('div', { class: 'head' }, title, compare.opener);
  return { node: h('section', {}, head, compare.node, none, list), show, take };
}

function saved(checkpoint, cellOf) {
  const age = ago(Date.parse(checkpoint.at) / 1000);
  const id = line(checkpoint.id, 80);
  const verify = () => {
    const [about, body] = [line(labelOf(cellOf()), 64), { checkpoint: checkpoint.id }];
    return act(place(cellOf().uuid), 'verify', body, about, { awaited: true });
  };
  const buttons = h('div', { class: 'buttons', hidden: !mayAct() });
  for (const [text, press] of [
    ['Restore', () => restore(cellOf(), checkpoint, `${age.textContent} old`)],
    ['Fork', () => fork(cellOf(), checkpoint)],
    ['Verify', verify],
  ]) {
    const attributes = { 'aria-label': `${text} ${id}`, 'data-verb': text.toLowerCase() };
    buttons.append(button(text, press, attributes));
  }
  const size = h('span', { class: 'quiet' }, age, ` old · ${bytes(checkpoint.size)}`);
  const what = h('div', { class: 'what' }, h('code', {}, id), size);
  return { node: h('li', { class: 'need' }, what, buttons), update: () => {} };
}

function compareForm(cellOf) {
  const [old, recent] = [choice('old', []), choice('new', [])];
  const out = h('pre', {
    class: 'log wide', hidden: true, tabindex: '0', role: 'region', 'aria-label': 'What changed',
  });
  const send = async () => {
    const cell = cellOf();
    const body = { old: old.value, new: recent.value };
    out.hidden = true;
    const about = { awaited: true, said: 'compared' };
    const done = await act(place(cell.uuid), 'diff', body, line(labelOf(cell), 64), about);
    if (!done) return;
    say(out, plain(done.said) || 'Nothing changed.');
    out.hidden = false;
  };
  const made = form(
    'diff',
    'Compare',
    { first: old, send, yes: 'Say what changed' },
    h('label', {}, 'From ', old),
    h('label', {}, 'To ', recent),
  );
  made.node.append(out);
  let known = 0;
  const show = (ids) => {
    choices(old, ids);
    choices(recent, ids);
    if (known < 2 && ids.length > 1) old.value = ids[1]; // What the last one saved anew.
    known = ids.length;
    offer(made, mayAct() && ids.length > 1);
  };
  return { ...made, show };
}
