// From the lines of a journal to lives: when each began, when and how it ended. Pure.

const ENDS = { agent_died: 'died', agent_exited: 'finished', agent_stopped: 'stopped' };
const BEGINS = ['agent_started', 'agent_adopted'];
/** What a life went through: the event that begins it and the one that ends it. */
const SPELLS = {
  silent: [['heartbeat_stale', 'agent_stalled', 'agent_hung'], ['agent_recovered']],
  held: [['agent_held'], ['agent_released']],
  frozen: [['agent_frozen'], ['agent_thawed']],
};

/**
 * Return a map of agent to its lives, oldest first: `{from, to, end, generation, spells}`, Unix
 * seconds. A spell is `{kind, from, to}`: `silent`, `held` or `frozen`; `to` is `null` while it lasts.
 *
 * `from` is `null` where the beginning lies before the first line; `to` and `end` are `null` while
 * it lives. A life whose end was never told (the journal was cut) ends where the next begins.
 */
export function livesOf(events) {
  const lives = new Map();
  for (const event of events) {
    if (typeof event.agent !== 'string') continue;
    const mine = lives.get(event.agent) ?? [];
    const at = Date.parse(event.ts) / 1000;
    const last = mine.at(-1);
    if (BEGINS.includes(event.event)) {
      begin(mine, last, at, event);
    } else if (event.event in ENDS) {
      finish(mine, last, at, event);
    } else if (event.event === 'agent_start_failed' && last?.to === null) {
      ended(last, at, 'died');
    } else if (last?.to === null) {
      spell(last, at, event.event);
    }
    if (mine.length) lives.set(event.agent, mine);
  }
  return lives;
}

function begin(mine, last, at, event) {
  const isKnown = event.event === 'agent_adopted' && last && last.to === null;
  if (isKnown && last.generation === event.generation) return;
  if (last && last.to === null) ended(last, at, 'unknown');
  const from = event.event === 'agent_adopted' ? null : at;
  mine.push({ from, to: null, end: null, generation: event.generation, spells: [] });
}

function finish(mine, last, at, event) {
  const end = ENDS[event.event];
  if (last && last.to === null) ended(last, at, end);
  else if (!last) mine.push({ from: null, to: at, end, generation: event.generation, spells: [] });
}

function ended(life, at, end) {
  Object.assign(life, { to: at, end });
  for (const one of life.spells) one.to ??= at;
}

function spell(life, at, name) {
  for (const [kind, [begins, ends]] of Object.entries(SPELLS)) {
    const open = life.spells.find((one) => one.kind === kind && one.to === null);
    if (begins.includes(name) && !open) life.spells.push({ kind, from: at, to: null });
    if (ends.includes(name) && open) open.to = at;
  }
}

/** Return the lives that reach into the time from `start` on. */
export function within(lives, start) {
  return lives.filter((life) => life.to === null || life.to >= start);
}
