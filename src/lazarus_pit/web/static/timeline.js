// Lives and deaths as a picture: a row for each agent, a bar for each life, a mark for its end.

import { h, say, svg } from './dom.js';
import { livesOf, within } from './lives.js';
import { collated, line, many, span } from './words.js';

/** What can be chosen: words, seconds, and into how many parts the axis is divided. */
const WINDOWS = [
  ['1 minute', 60, 4],
  ['5 minutes', 300, 5],
  ['1 hour', 3600, 4],
  ['24 hours', 86400, 4],
  ['7 days', 7 * 86400, 7],
];

const ROW = 22;
const BAR = 12;
const AXIS = 20;
const MARK = 4;
const MOST_ROWS = 24;

/** Return `{node, show(events, at)}`; `at` is now in Unix seconds. */
export function timeline(label) {
  const names = h('ol', { class: 'lanes', 'aria-hidden': 'true' });
  const picture = svg('svg', { class: 'lives', role: 'img', focusable: 'false' });
  const words = h('p', { class: 'quiet small' });
  const choice = h(
    'select',
    { 'aria-label': 'Time shown' },
    ...WINDOWS.map(([text, seconds]) => h('option', { value: seconds }, text)),
  );
  let chosen = false;
  const head = h('div', { class: 'head' }, h('h3', {}, 'Lives and deaths'), choice);
  const lanes = h('div', { class: 'lanebox' }, names, picture);
  const node = h('section', { class: 'timeline' }, head, lanes, words);
  let shown = [[], 0];
  const show = (events, at) => {
    shown = [events, at];
    if (!chosen) choice.value = String(fitting(events, at));
    const seconds = Number(choice.value);
    const rows = rowsOf(events, at - seconds);
    const text = summary(rows, choice.selectedOptions[0].text);
    say(words, rows.length > MOST_ROWS ? `${text} The first ${MOST_ROWS} are drawn.` : text);
    picture.setAttribute('aria-label', `${label}: ${text}`);
    const parts = WINDOWS.find((one) => one[1] === seconds)[2];
    draw(picture, names, rows.slice(0, MOST_ROWS), { start: at - seconds, at, parts });
  };
  choice.addEventListener('change', () => {
    chosen = true;
    show(...shown);
  });
  new ResizeObserver(() => show(...shown)).observe(node);
  return { node, show };
}

/** Return the shortest time that holds all that is known; a day at most. */
function fitting(events, at) {
  const first = events.length ? Date.parse(events[0].ts) / 1000 : at;
  const found = WINDOWS.find(([, seconds]) => at - first < seconds || seconds === 86400);
  return found[1];
}

function rowsOf(events, start) {
  return [...livesOf(events)]
    .map(([name, lives]) => ({ name, lives: within(lives, start) }))
    .filter((row) => row.lives.length)
    .sort((one, other) => deaths(other) - deaths(one) || collated(one.name, other.name));
}

function deaths(row) {
  return row.lives.filter((life) => life.end === 'died').length;
}

function summary(rows, text) {
  if (!rows.length) return `No life in the last ${text}.`;
  const lived = rows.reduce((sum, row) => sum + row.lives.length, 0);
  const spells = rows.flatMap((row) => row.lives.flatMap((life) => life.spells));
  const silent = spells.filter((one) => one.kind === 'silent').length;
  const died = rows.reduce((sum, row) => sum + deaths(row), 0);
  return (
    `${many(rows.length, 'agent')}, ${lived === 1 ? '1 life' : `${lived} lives`} and ` +
    `${many(died, 'death')} in the last ${text}${silent ? `, silent ${times(silent)}` : ''}.`
  );
}

function times(count) {
  return count === 1 ? 'once' : `${count} times`;
}

function draw(picture, names, rows, { start, at, parts }) {
  const called = rows.map((row) => line(row.name, 64));
  names.replaceChildren(...called.map((name) => h('li', { title: name }, name)));
  // The names come first: the picture has what room they leave.
  const width = Math.max(120, picture.parentElement.clientWidth - names.clientWidth - 8);
  const height = rows.length * ROW + AXIS;
  const x = (instant) => ((Math.max(start, instant) - start) / (at - start)) * (width - 2 * MARK);
  picture.setAttribute('viewBox', `0 0 ${width} ${height}`);
  picture.setAttribute('width', width);
  picture.setAttribute('height', height);
  picture.replaceChildren(
    ...axis(width, rows.length * ROW, at - start, parts),
    ...rows.flatMap((row, index) =>
      row.lives.flatMap((life) => drawn(life, index * ROW, x, at)),
    ),
  );
}

function axis(width, bottom, seconds, parts) {
  const every = width / parts < 64 ? 2 : 1;
  return Array.from({ length: parts + 1 }, (_, part) => {
    const at = (part / parts) * (width - 2 * MARK);
    const grid = svg('line', { class: 'grid', x1: at, x2: at, y1: 0, y2: bottom });
    if ((parts - part) % every) return [grid];
    const anchor = part === 0 ? 'start' : part === parts ? 'end' : 'middle';
    const text = part === parts ? 'now' : `−${short(seconds * (1 - part / parts))}`;
    const x = part === parts ? width : at;
    return [grid, svg('text', { class: 'tick', x, y: bottom + 14, 'text-anchor': anchor }, text)];
  }).flat();
}

function short(seconds) {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

function drawn(life, top, x, at) {
  const from = x(life.from ?? 0);
  const to = x(life.to ?? at);
  const middle = top + ROW / 2;
  const bar = svg(
    'rect',
    {
      class: `life ${life.end ?? 'alive'}`,
      x: from,
      y: middle - BAR / 2,
      width: Math.max(2, to - from - 1),
      height: BAR,
      rx: 2,
    },
    svg('title', {}, described(life, at)),
  );
  const shapes = [bar, ...life.spells.flatMap((one) => spellShape(one, life, { middle, x, at }))];
  const isMarked = life.end !== null && life.end !== 'unknown';
  return isMarked ? [...shapes, mark(life.end, to, middle)] : shapes;
}

/** Half a bar for a time in which a life was silent, held or frozen; none outside the picture. */
function spellShape(one, life, { middle, x, at }) {
  const [from, to] = [x(one.from), x(one.to ?? life.to ?? at)];
  if (to <= from) return [];
  const shape = { x: from, y: middle, width: Math.max(2, to - from), height: BAR / 2 };
  const said = `${one.kind} for ${span((one.to ?? at) - one.from)}`;
  return [svg('rect', { class: `spell ${one.kind}`, ...shape }, svg('title', {}, said))];
}

function mark(end, x, y) {
  const m = MARK;
  const shapes = {
    died: `M${x - m} ${y - m}l${2 * m} ${2 * m}m0 ${-2 * m}l${-2 * m} ${2 * m}`,
    finished: `M${x - m} ${y}l${m * 0.8} ${m}l${m * 1.4} ${-2 * m}`,
    stopped: `M${x - m} ${y - m}h${2 * m}v${2 * m}h${-2 * m}z`,
  };
  return svg('path', { class: `mark ${end}`, d: shapes[end] });
}

function described(life, at) {
  const length = life.from === null ? 'since before' : span((life.to ?? at) - life.from);
  return `life ${life.generation ?? '?'}, ${length}, ${life.end ?? 'alive'}`;
}
