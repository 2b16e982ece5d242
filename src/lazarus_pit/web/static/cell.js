// One cell: its members, their lives and deaths, its mail, its checkpoints, its events.

import { agentButtons, cellButtons } from './actions.js';
import { json, place } from './api.js';
import { checkpointList } from './checkpoints.js';
import { attribute, button, h, isInUse, keyed, say } from './dom.js';
import { eventList } from './eventlist.js';
import { fleet, labelOf, now, put } from './fleet.js';
import { inviteForm } from './invite.js';
import { mailView } from './mail.js';
import { facts, link } from './overview.js';
import { timeline } from './timeline.js';
import { byNeed, line, lookOf, lookOfCell, many } from './words.js';

const MOST_MEMBERS = 50;

/** Return the view of one cell: `{node, show(), hear(), refresh()}`. */
export function cellView(uuid, journal) {
  const title = heading();
  const mission = h('p', { class: 'mission' });
  const members = memberList();
  const picture = timeline('Lives and deaths');
  const events = eventList(journal);
  const saved = checkpointList();
  const mail = mailView(uuid);
  const node = h(
    'div',
    { class: 'view' },
    title.node, mission, members.node, picture.node, mail.node, saved.node, events.node,
  );

  const show = () => {
    const cell = fleet.cells.get(uuid);
    if (!cell) return;
    title.update(cell);
    say(mission, cell.problem ? line(cell.problem, 300) : line(cell.mission ?? '', 400));
    members.show(cell);
    saved.take(cell);
    mail.show(cell);
  };
  const hear = () => {
    picture.show(journal.lines(), now());
    events.show();
  };
  /** Beats alone are not streamed: while somebody looks, the cell is read anew now and then. */
  const refresh = async () => {
    const [cell] = await Promise.all([json(place(uuid)), mail.refresh()]);
    saved.show(cell.checkpoints);
    put(cell);
    hear();
  };
  return { node, show, hear, refresh };
}

function heading() {
  const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
  const name = h('h2', { tabindex: '-1' });
  const words = h('span', { class: 'tone' });
  const id = h('code', { class: 'quiet' });
  const buttons = cellButtons();
  const node = h(
    'div',
    { class: 'viewhead' },
    h('p', { class: 'crumbs' }, h('a', { href: '#/' }, '‹ All cells')),
    h('div', { class: 'cardhead' }, glyph, name, words),
    id,
    buttons.node,
  );
  const update = (cell) => {
    const look = lookOfCell(cell);
    attribute(node, 'data-tone', look.tone);
    say(glyph, look.glyph);
    say(name, line(labelOf(cell), 64));
    say(words, look.word);
    say(id, cell.uuid);
    buttons.update(cell);
  };
  return { node, update };
}

function memberList() {
  const list = h('ul', { class: 'rows members' });
  const title = h('h3', { tabindex: '-1' });
  const invite = inviteForm();
  let cell = null;
  let most = MOST_MEMBERS;
  const make = () => member(() => cell);
  const showRows = keyed(list, (agent) => agent.name, make, () => isInUse(list));
  const more = button('', () => {
    most = Infinity;
    show(cell);
  });
  const show = (found) => {
    cell = found;
    invite.show(cell);
    const agents = [...cell.agents].sort(byNeed);
    showRows(agents.slice(0, most));
    say(title, many(agents.length, 'member'));
    more.hidden = agents.length <= most;
    say(more, `Show ${agents.length - most} more`);
  };
  const again = () => cell && requestAnimationFrame(() => show(cell));
  list.addEventListener('pointerleave', again);
  list.addEventListener('focusout', again);
  const head = h('div', { class: 'head' }, title, invite.opener);
  return { node: h('section', {}, head, invite.node, list, more), show };
}

function member(cellOf) {
  const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
  const name = h('a', { class: 'name' });
  const words = h('span', { class: 'tone' });
  const role = h('span', { class: 'quiet' });
  const numbers = facts();
  const buttons = agentButtons({ inRow: true });
  const what = h('div', { class: 'what' }, h('div', {}, name, ' ', words, ' ', role), numbers.node);
  const node = h('li', { class: 'need member' }, glyph, what, buttons.node);
  const update = (agent) => {
    const look = lookOf(agent);
    attribute(node, 'data-tone', look.tone);
    attribute(node, 'data-agent', agent.name);
    attribute(node, 'data-generation', agent.generation);
    say(glyph, look.glyph);
    say(name, line(agent.name, 64));
    attribute(name, 'href', link(cellOf(), agent.name));
    say(words, look.word);
    say(role, line(agent.role ?? '', 40));
    numbers.update(agent);
    buttons.update(cellOf(), agent);
  };
  return { node, update };
}
