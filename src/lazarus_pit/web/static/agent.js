// One agent: why it is as it is, its lives, what it prints, its events.

import { agentButtons } from './actions.js';
import { json, place, text } from './api.js';
import { attribute, h, say } from './dom.js';
import { eventList } from './eventlist.js';
import { fleet, labelOf, now, put } from './fleet.js';
import { facts, link } from './overview.js';
import { timeline } from './timeline.js';
import { line, lookOf, plain } from './words.js';

const LOG_BYTES = 65_536;

/** Return the view of one agent: `{node, show(), hear(), refresh()}`. */
export function agentView(uuid, name, journal) {
  const title = heading(uuid, name);
  const why = h('ul', { class: 'why' });
  const picture = timeline(`Lives and deaths of ${line(name, 64)}`);
  const log = logView(name);
  const events = eventList(journal, name);
  const node = h(
    'div',
    { class: 'view' },
    title.node,
    h('section', {}, h('h3', {}, 'Why'), why),
    picture.node,
    log.node,
    events.node,
  );
  const own = () => journal.lines().filter((event) => event.agent === name);

  const show = () => {
    const cell = fleet.cells.get(uuid);
    const agent = cell?.agents.find((one) => one.name === name);
    if (agent) title.update(cell, agent);
    else if (cell) say(title.words, 'is no longer a member');
    if (agent) log.title(lookOf(agent));
  };
  const hear = () => {
    picture.show(own(), now());
    events.show();
  };
  const refresh = async () => {
    const [cell, said, printed] = await Promise.all([
      json(place(uuid)),
      json(`${place(uuid, name)}/why`),
      text(`${place(uuid, name)}/log?bytes=${LOG_BYTES}`),
    ]);
    put(cell);
    reasons(why, said.lines);
    log.show(printed);
    hear();
  };
  return { node, show, hear, refresh };
}

function heading(uuid, name) {
  const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
  const words = h('span', { class: 'tone' });
  const back = h('a', { href: link({ uuid }) }, '‹ Cell');
  const numbers = facts();
  const buttons = agentButtons();
  const node = h(
    'div',
    { class: 'viewhead' },
    h('p', { class: 'crumbs' }, h('a', { href: '#/' }, '‹ All cells'), ' ', back),
    h('div', { class: 'cardhead' }, glyph, h('h2', { tabindex: '-1' }, line(name, 64)), words),
    numbers.node,
    buttons.node,
  );
  const update = (cell, agent) => {
    const look = lookOf(agent);
    attribute(node, 'data-tone', look.tone);
    say(back, `‹ ${line(labelOf(cell), 64)}`);
    say(glyph, look.glyph);
    say(words, look.word);
    numbers.update(agent);
    buttons.update(cell, agent);
  };
  return { node, words, update };
}

function reasons(list, lines) {
  const rows = lines.map((row) => plain(row).trimEnd()).filter(Boolean);
  const rank = (row) => (row.startsWith(' ') ? 'within' : row.endsWith(':') ? 'over' : null);
  const before = [...list.children].map((item) => item.textContent);
  if (JSON.stringify(before) === JSON.stringify(rows.map((row) => row.trim()))) return;
  list.replaceChildren(...rows.map((row) => h('li', { class: rank(row) }, row.trim())));
}

function logView(name) {
  const title = h('h3', {}, 'Log');
  const state = h('span', { class: 'quiet small' });
  const out = h('pre', {
    class: 'log',
    tabindex: '0',
    role: 'region',
    'aria-label': `The end of what ${line(name, 64)} printed`,
  });
  const node = h('section', {}, h('div', { class: 'head' }, title, state), out);
  /** Whoever has scrolled up to read is left there. */
  const show = (printed) => {
    const cut = printed.length >= LOG_BYTES ? printed.slice(printed.indexOf('\n') + 1) : printed;
    const follows = out.scrollTop + out.clientHeight >= out.scrollHeight - 8;
    say(out, plain(cut) || 'It has printed nothing.');
    if (follows) out.scrollTop = out.scrollHeight;
  };
  const head = (look) => say(state, `${look.glyph} ${look.word}`);
  return { node, show, title: head };
}
