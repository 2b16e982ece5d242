// How a state looks (glyph, word, tone) and how numbers and times are said. Pure.

/**
 * Every state an agent can be shown in, the worst first. `tone` only repeats in colour what the
 * glyph and the word say; `needs` marks what goes on only when a person acts.
 */
const TABLE = [
  ['escalated', '✕', 'given up', 'bad', true],
  ['dead', '✕', 'dead', 'bad', true],
  ['awaiting', '?', 'asks', 'ask', true],
  ['full', '‖', 'disk full', 'ask', true],
  ['held', '‖', 'held', 'ask', true],
  ['silent', '◐', 'silent', 'warn', false],
  ['quota', '‖', 'out of quota', 'warn', false],
  ['reviving', '↻', 'reviving', 'move', false],
  ['fencing', '↓', 'ending', 'move', false],
  ['stopping', '↓', 'stopping', 'move', false],
  ['backoff', '↻', 'due', 'move', false],
  ['starting', '↑', 'starting', 'move', false],
  ['waiting', '…', 'waiting', 'move', false],
  ['frozen', '❄\uFE0E', 'frozen', 'cold', false],
  ['running', '●', 'alive', 'good', false],
  ['stopped', '■', 'stopped', 'quiet', false],
  ['exited', '✓', 'finished', 'quiet', false],
  ['human', '☺\uFE0E', 'person', 'quiet', false],
  ['invited', '○', 'invited', 'quiet', false],
  ['no command', '○', 'no command', 'quiet', false],
  ['-', '○', 'not watched', 'quiet', false],
];

const LOOKS = new Map(
  TABLE.map(([state, glyph, word, tone, needs], rank) => [
    state,
    { state, glyph, word, tone, needs, rank },
  ]),
);

/** The looks in the table's order. */
export const ALL_LOOKS = [...LOOKS.values()];

const GONE = ['escalated', 'awaiting', 'reviving', 'stopped', 'exited', 'stopping', 'fencing'];

/** Return how an agent looks. */
export function lookOf(agent) {
  if (agent.state === 'held' && agent.reason === 'quota_wait') return LOOKS.get('quota');
  if (agent.state === 'frozen' && agent.need) return LOOKS.get('full');
  if (agent.verdict === 'dead' && agent.pid && !GONE.includes(agent.state)) {
    return LOOKS.get('dead');
  }
  if (agent.state === 'running' && agent.verdict === 'degraded') return LOOKS.get('silent');
  return LOOKS.get(agent.state) ?? LOOKS.get('-');
}

const CELL_LOOKS = {
  frozen: { glyph: '❄\uFE0E', word: 'frozen', tone: 'cold' },
  asleep: { glyph: '☾\uFE0E', word: 'asleep', tone: 'cold' },
  archived: { glyph: '✓', word: 'archived', tone: 'quiet' },
  unreadable: { glyph: '✕', word: 'unreadable', tone: 'bad' },
};
const EMPTY = { glyph: '○', word: 'no agents', tone: 'quiet', rank: TABLE.length };

/** Return how a cell looks: as its own status where that says it, else as its worst agent. */
export function lookOfCell(cell) {
  if (cell.problem) return { ...CELL_LOOKS.unreadable, rank: -1 };
  const worst = worstOf(cell.agents);
  const own = CELL_LOOKS[cell.asleep ? 'asleep' : cell.status];
  return own && !worst.needs ? { ...own, rank: worst.rank } : worst;
}

function worstOf(agents) {
  return agents
    .map(lookOf)
    .reduce((worst, look) => (look.rank < worst.rank ? look : worst), EMPTY);
}

/** Order for agents: the worst first, then by name. */
export function byNeed(one, other) {
  return lookOf(one).rank - lookOf(other).rank || collated(one.name, other.name);
}

/** Order for names, in which agent-2 comes before agent-10. */
export function collated(one, other) {
  return COLLATOR.compare(one, other);
}
const COLLATOR = new Intl.Collator('en', { numeric: true });

/** Return `[look, how many]` for each look that occurs, the worst first. */
export function counted(agents) {
  const counts = new Map();
  for (const agent of agents) {
    const look = lookOf(agent);
    counts.set(look, (counts.get(look) ?? 0) + 1);
  }
  return [...counts].sort(([one], [other]) => one.rank - other.rank);
}

/** Return a duration in seconds as people say it; `-` where there is none. */
export function span(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return '-';
  const left = Math.max(0, Math.floor(seconds));
  if (left < 60) return `${left} s`;
  if (left < 3600) return `${Math.floor(left / 60)} min ${left % 60} s`;
  if (left < 86400) return `${Math.floor(left / 3600)} h ${Math.floor((left % 3600) / 60)} min`;
  return `${Math.floor(left / 86400)} d ${Math.floor((left % 86400) / 3600)} h`;
}

/** Return a size in bytes as people say it. */
export function bytes(size) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Return "1 agent", "2 agents". */
export function many(count, word) {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}

/** Return the time of day of Unix seconds, with the date where it is another day than `now`. */
export function clock(at, now) {
  const date = new Date(at * 1000);
  const time = date.toLocaleTimeString('en-GB');
  const isToday = date.toDateString() === new Date(now * 1000).toDateString();
  return isToday ? time : `${date.toLocaleDateString('en-CA')} ${time}`;
}

const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Return text without what only a terminal understands, and with a mark for what would not be seen
 * or would turn the direction of the words around it.
 */
export function plain(text) {
  return String(text).replace(/\r\n/g, '\n').replace(ESCAPES, '').replace(UNSEEN, '\ufffd');
}

/** The same, on one line and not longer than `most` characters. */
export function line(text, most = 160) {
  const whole = plain(text).replace(/\s+/g, ' ').trim();
  return whole.length > most ? `${whole.slice(0, most - 1)}…` : whole;
}
