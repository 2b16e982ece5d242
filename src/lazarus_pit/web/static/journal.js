// The events of the cell that is looked at: what the API had, what the stream adds.

import { json, place } from './api.js';

const FIRST = 1000;
const MOST = 5000; // Lines kept in the page; older ones are got again when asked for.

/** Return a journal of one cell; `onNews()` is called when it has changed. */
export function journal(uuid, onNews) {
  const lines = new Map();
  let sorted = [];
  let whole = false;

  const take = (events) => {
    const before = lines.size;
    for (const event of events) lines.set(keyOf(event), event);
    if (lines.size === before) return;
    sorted = [...lines.values()].sort(inOrder);
    for (const event of sorted.splice(0, Math.max(0, sorted.length - MOST))) {
      lines.delete(keyOf(event));
    }
    onNews();
  };
  const get = async (query) => (await json(`${place(uuid)}/events?${query}`)).events;

  return {
    /** Every line that is known, oldest first. */
    lines: () => sorted,
    /** Whether there may be older ones. */
    hasOlder: () => !whole && sorted.length < MOST,
    /** Get the newest lines. */
    async load() {
      const events = await get(`limit=${FIRST}`);
      if (!lines.size) whole = events.length < FIRST;
      take(events);
    },
    /** Get lines from before the oldest that is known. */
    async older() {
      const events = await get(`limit=${FIRST}&before=${encodeURIComponent(sorted[0].ts)}`);
      whole = events.length < FIRST;
      take(events);
    },
    /** Take in a line of the stream. One that names no cell may be ours: then look. */
    async hear(event) {
      if (event.cell === uuid) take([event]);
      else if (!event.cell) take(await get('limit=50'));
    },
  };
}

function keyOf(event) {
  return event.seq === undefined ? JSON.stringify(event) : String(event.seq);
}

function inOrder(one, other) {
  return one.ts < other.ts ? -1 : one.ts > other.ts ? 1 : (one.seq ?? 0) - (other.seq ?? 0);
}
