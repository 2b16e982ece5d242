// Ages that grow by themselves: the page writes them anew each second while it is seen.

import { attribute, h, say } from './dom.js';
import { now } from './fleet.js';
import { span } from './words.js';

/** Return an element that says how long ago `since` (Unix seconds) was; `set(since)` moves it. */
export function ago(since = null) {
  const node = h('time', { class: 'age' });
  node.set = (value) => {
    const known = value !== null && value !== undefined;
    attribute(node, 'data-since', known ? value : null);
    attribute(node, 'datetime', known ? new Date(value * 1000).toISOString() : null);
    attribute(node, 'title', known ? new Date(value * 1000).toLocaleString('en-GB') : null);
    say(node, known ? span(now() - value) : '-');
  };
  node.set(since);
  return node;
}

/** Return an element that says how much time is left until `at`; `set(at)` moves it. */
export function until(at = null) {
  const node = h('time', { class: 'age' });
  node.set = (value) => {
    attribute(node, 'data-until', value);
    say(node, value === null ? '-' : span(value - now()));
  };
  node.set(at);
  return node;
}

/** Begin to tick. */
export function tick() {
  setInterval(() => {
    if (document.hidden) return;
    const at = now();
    for (const node of document.querySelectorAll('time[data-since]')) {
      say(node, span(at - Number(node.dataset.since)));
    }
    for (const node of document.querySelectorAll('time[data-until]')) {
      say(node, span(Number(node.dataset.until) - at));
    }
  }, 1000);
}
