// The events of the cell that is looked at: what the API had, what the stream adds.

import { json, place } from './api.js';

const FIRST = 1000;
const MOST = 5000; // Lines kept in the page; older ones are got again when asked for.

/** Return a journal of one cell; `onNews()` is called when it has changed. */
export function journal(uuid, onNews) {
  const lines = new Map();
  let sorted = [];
  let cursor = null; // Where older lines end, as the API said; `null`: there are none.
  let begun = false;

  const take = (events) => {
    const fresh = events.filter((event) => !lines.has(keyOf(event)));
    if (!fresh.length) return;
    for (const event of fresh) lines.set(keyOf(event), event);
    sorted = [...lines.values()].sort(inOrder);
    for (const event of sorted.splice(0, Math.max(0, sorted.length - MOST))) {
      lines.delete(keyOf(event));
    }
    onNews();
  };
  const forget = (first) => {
    if (first) for (const [key, event] of lines) if (inOrder(event, first) < 0) lines.delete(key);
  };
  const get = (query) => json(`${place(uuid)}/events?${query}`);

  return {
    /** Every line that is known, oldest first. */
    lines: () => sorted,
    /** Whether there may be older ones. */
    hasOlder: () => cursor !== null && sorted.length < MOST,
    /** Get the newest lines. */
    async load() {
      const page = await get(`limit=${FIRST}`);
      const isGap = !page.events.some((event) => lines.has(keyOf(event)));
      if (isGap) forget(page.events[0]); // More was missed than a page holds: go on from there.
      if (isGap || !begun) cursor = page.cursor;
      begun = true;
      take(page.events);
    },
    /** Get lines from before the oldest that is known. */
    async older() {
      const page = await get(`limit=${FIRST}&cursor=${cursor}`);
      cursor = page.cursor;
      take(page.events);
    },
    /** Take in a line of the stream, if it is ours. */
    hear(event) {
      if (event.cell === uuid) take([event]);
    },
  };
}

function keyOf(event) {
  return event.seq === undefined ? JSON.stringify(event) : String(event.seq);
}

function inOrder(one, other) {
  return one.ts < other.ts ? -1 : one.ts > other.ts ? 1 : (one.seq ?? 0) - (other.seq ?? 0);
}
