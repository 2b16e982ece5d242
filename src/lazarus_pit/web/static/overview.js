// The fleet at a glance: counts, what needs a person, the cells with the worst first.

import { agentButtons, cellButtons } from './actions.js';
import { ago } from './ages.js';
import { answered, approvalRow, openOnes } from './approvals.js';
import { arrivals } from './arrivals.js';
import { attribute, button, h, isInUse, keyed, say } from './dom.js';
import { everybody, fleet, labelOf } from './fleet.js';
import { poolList } from './pool.js';
import { byNeed, collated, counted, line, lookOf, lookOfCell, many } from './words.js';

const MOST_CARDS = 60; // At once; the rest comes on demand.
const find = (id) => document.getElementById(id);

/** Return the address of a cell or agent within the page. */
export function link(cell, agent = null) {
  const parts = agent === null ? [cell.uuid] : [cell.uuid, agent];
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}

/** Build the overview and return `show()`, which brings it up to date. */
export function overview() {
  const filter = find('filter');
  const showCounts = keyed(find('counts'), ([look]) => look.word, countButton(filter));
  const needs = find('needs-list');
  const rowOf = (item) => (item.approval ? approvalRow(link) : need());
  const showNeeds = keyed(needs, ({ key }) => key, rowOf, () => isInUse(needs));
  const showAnswered = answered(find('answered'));
  const showPool = poolList(find('pool'), find('pool-list'));
  arrivals(find('arrivals'), find('arriving'));
  const cells = find('cells-list');
  const showCells = keyed(cells, (cell) => cell.uuid, card, () => isInUse(cells));
  let most = MOST_CARDS;

  const show = () => {
    if (!fleet.known) return;
    const all = everybody();
    showCounts(counted(all.map(({ agent }) => agent)));
    const needy = needyOf(all);
    showNeeds(needy);
    sayNeeds(needy.length);
    showAnswered();
    showPool();
    const wanted = matching(filter.value);
    showCells(wanted.slice(0, most));
    sayCells(wanted.length, wanted.length - most, filter.value);
  };
  const again = () => requestAnimationFrame(show);
  filter.addEventListener('input', show);
  find('cells-more').addEventListener('click', () => {
    most = Infinity;
    show();
  });
  for (const list of [needs, cells]) {
    list.addEventListener('pointerleave', again);
    list.addEventListener('focusout', again);
  }
  return show;
}

// ------------------------------------------------------------ counts

function countButton(filter) {
  return () => {
    const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
    const count = h('b');
    const word = h('span');
    const node = button('', () => {
      filter.value = filter.value === word.textContent ? '' : word.textContent;
      filter.dispatchEvent(new Event('input'));
    }, { class: 'count' });
    node.append(glyph, count, ' ', word);
    const update = ([look, number]) => {
      attribute(node, 'data-tone', look.tone);
      attribute(node, 'title', `Show only cells with an agent that is: ${look.word}`);
      say(glyph, look.glyph);
      say(count, String(number));
      say(word, look.word);
    };
    return { node, update };
  };
}

// ------------------------------------------------------------ what needs you

const WATCHED = ['active', 'frozen'];
const known = new Map(); // The same words stay the same object, so that nothing is touched in vain.

function needyOf(all) {
  const broken = [...fleet.cells.values()]
    .filter((cell) => cell.problem)
    .map((cell) => remembered(cell.uuid, null, cell, null));
  const asked = openOnes();
  // One that lives and asks may need a person for another reason as well.
  const subjects = new Set(asked.filter((one) => one.question === null).map(({ subject }) => subject));
  const requests = asked.map((approval) => remembered(approval.id, approval));
  const calling = all
    .filter(({ cell, agent }) => lookOf(agent).needs && WATCHED.includes(cell.status))
    .filter(({ cell, agent }) => !subjects.has(`${cell.uuid}/${agent.name}`))
    .sort((one, other) => byNeed(one.agent, other.agent))
    .map(({ cell, agent }) => remembered(`${cell.uuid}/${agent.name}`, null, cell, agent));
  const rows = [...requests, ...broken, ...calling];
  const keys = new Set(rows.map(({ key }) => key));
  for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
  return rows;
}

function remembered(key, approval, cell = null, agent = null) {
  const before = known.get(key);
  const name = approval?.cell ? fleet.cells.get(approval.cell) : cell;
  if (before && before.name === name && before.approval?.id === approval?.id) return before;
  const row = { key, approval, cell, agent, name };
  known.set(key, row);
  return row;
}

function need() {
  const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
  const name = h('a', { class: 'name' });
  const words = h('span', { class: 'tone' });
  const why = h('span', { class: 'quiet' });
  const buttons = agentButtons({ inRow: true });
  const node = h(
    'li',
    { class: 'need' },
    glyph,
    h('div', { class: 'what' }, h('div', {}, name, ' ', words), why),
    buttons.node,
  );
  const update = ({ cell, agent }) => {
    const look = agent ? lookOf(agent) : lookOfCell(cell);
    attribute(node, 'data-tone', look.tone);
    say(glyph, look.glyph);
    say(name, line(agent ? `${labelOf(cell)} / ${agent.name}` : labelOf(cell), 130));
    attribute(name, 'href', link(cell, agent?.name ?? null));
    say(words, look.word);
    say(why, agent ? reasonOf(agent) : line(cell.problem, 300));
    if (agent) buttons.update(cell, agent);
  };
  return { node, update };
}

/** Why an agent needs a person, in words. */
export function reasonOf(agent) {
  const [attempts, most] = [agent.attempts ?? 0, agent.max_attempts];
  const used = most ? `, ${attempts} of ${most} attempts used` : '';
  return line(agent.need ?? agent.reason ?? '', 160) + (lookOf(agent).state === 'held' ? '' : used);
}

function sayNeeds(count) {
  say(find('needs-title'), count ? `Needs you (${count})` : 'Needs you');
  attribute(find('needs'), 'data-any', count > 0);
  const down = fleet.daemon.up === false;
  const nothing = fleet.cells.size ? 'Nothing: every agent gets on by itself.' : 'Nothing yet.';
  say(find('needs-none'), count ? '' : down ? '' : nothing);
  document.title = count ? `(${count}) Lazarus Pit` : 'Lazarus Pit';
}

// ------------------------------------------------------------ cells

function matching(text) {
  const wanted = text.trim().toLowerCase();
  const cells = [...fleet.cells.values()].filter((cell) => !wanted || holds(cell, wanted));
  const ranks = new Map(cells.map((cell) => [cell, lookOfCell(cell).rank]));
  return cells.sort(
    (one, other) =>
      ranks.get(one) - ranks.get(other) ||
      collated(labelOf(one), labelOf(other)) ||
      collated(one.uuid, other.uuid),
  );
}

function holds(cell, wanted) {
  const own = [cell.name, cell.uuid, cell.mission, cell.status];
  const all = [...own, ...cell.agents.flatMap((agent) => [agent.name, lookOf(agent).word])];
  return all.some((text) => text && text.toLowerCase().includes(wanted));
}

function sayCells(count, hidden, filter) {
  const none = find('cells-none');
  none.hidden = count > 0;
  const empty = 'No cell yet. `lazarus cell create` makes one.';
  say(none, filter ? 'No cell matches the filter.' : empty);
  const more = find('cells-more');
  more.hidden = hidden <= 0;
  say(more, `Show ${many(hidden, 'more cell')}`);
}

function card(first) {
  const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
  const name = h('a', { class: 'name' });
  const words = h('span', { class: 'tone' });
  const mission = h('p', { class: 'quiet mission' });
  const squares = h('div', { class: 'squares', role: 'img' });
  const showSquares = keyed(squares, (agent) => agent.name, square);
  const buttons = cellButtons({ onCard: true });
  const uuid = h('code', { class: 'quiet' }, first.uuid.slice(0, 8));
  const head = h('div', { class: 'cardhead' }, glyph, h('h3', {}, name), words);
  const foot = h('div', { class: 'cardfoot' }, uuid, buttons.node);
  const node = h('li', { class: 'card' }, head, mission, squares, foot);
  squares.addEventListener('click', (event) => {
    if (event.target.dataset.agent) location.hash = link(first, event.target.dataset.agent);
  });
  const update = (cell) => {
    const look = lookOfCell(cell);
    attribute(node, 'data-tone', look.tone);
    say(glyph, look.glyph);
    say(name, line(labelOf(cell), 64));
    attribute(name, 'href', link(cell));
    say(words, look.word);
    say(mission, line(cell.mission ?? '', 140));
    const agents = [...cell.agents].sort((one, other) => collated(one.name, other.name));
    showSquares(agents);
    const counts = counted(agents).map(([one, count]) => `${count} ${one.word}`);
    attribute(squares, 'aria-label', counts.join(', ') || 'no agents');
    buttons.update(cell);
  };
  return { node, update };
}

function square() {
  const node = h('span', { class: 'square' });
  const update = (agent) => {
    const look = lookOf(agent);
    attribute(node, 'data-tone', look.tone);
    attribute(node, 'data-agent', agent.name);
    attribute(node, 'title', `${line(agent.name, 64)}: ${look.word}`);
    say(node, look.state === 'running' ? '' : look.glyph);
  };
  return { node, update };
}

/** Return a line of an agent's facts that is kept up to date: `{node, update(agent)}`. */
export function facts() {
  const beat = ago();
  const before = h('span', {}, 'beat ', beat, ' ago · ');
  const rest = h('span');
  const node = h('span', { class: 'quiet facts' }, before, rest);
  const update = (agent) => {
    beat.set(agent.beat);
    before.hidden = agent.beat === null || !agent.pid;
    const parts = [
      agent.generation === null ? null : `life ${agent.generation}`,
      agent.max_attempts ? `${agent.attempts ?? 0} of ${agent.max_attempts} attempts used` : null,
      agent.unread ? `${many(agent.unread, 'mail')} unread` : null,
      agent.status ? `says “${line(agent.status, 80)}”` : null,
    ];
    say(rest, parts.filter(Boolean).join(' · '));
  };
  return { node, update };
}
