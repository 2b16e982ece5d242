// Server-sent events, read with fetch because EventSource cannot send a token.
// A browser keeps six connections to a host, so a hidden tab gives its own back. Each connection
// begins with a `hello`, on which the page gets everything anew: nothing is asked for again.

import { ask } from './api.js';

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;
const SILENCE_MS = 40_000; // The server says something at least every 15 seconds.

/**
 * Stay connected while the tab is seen.
 *
 * `tell(type, data)` is told each event, and `link(state, error)` what became of the connection:
 * `live`, `lost` or `paused`. It ends for good when `link` returns `false`.
 */
export function connect(tell, link) {
  let wait = FIRST_RETRY_MS;
  let abort = null;
  let timer = 0;
  let over = false;

  async function run() {
    clearTimeout(timer);
    if (abort || over || document.hidden) return;
    const mine = new AbortController();
    abort = mine;
    let failure = null;
    try {
      await follow(mine, (frame) => {
        if (frame.event === 'hello') {
          wait = FIRST_RETRY_MS;
          link('live', null);
        }
        tell(frame.event, frame.data);
      });
    } catch (error) {
      failure = error;
    }
    if (abort === mine) abort = null;
    if (document.hidden || over) return;
    if (link('lost', failure) === false) {
      over = true;
      return;
    }
    timer = setTimeout(run, wait);
    wait = Math.min(wait * 2, LAST_RETRY_MS);
  }

  document.addEventListener('visibilitychange', () => {
    if (over) return;
    if (document.hidden) {
      clearTimeout(timer);
      abort?.abort();
      abort = null;
      link('paused', null);
    } else {
      wait = FIRST_RETRY_MS;
      run();
    }
  });
  run();
}

async function follow(abort, tell) {
  const answer = await ask('/api/v1/stream', { signal: abort.signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const frame = parsed(block);
        if (frame) tell(frame);
      }
    }
  } finally {
    clearTimeout(watchdog);
    abort.abort(); // Whatever went wrong here: no connection is left behind.
  }
}

/** Return one block as `{event, data}`; `null` for a comment. */
export function parsed(block) {
  const frame = { event: 'message', data: null };
  const data = [];
  for (const row of block.split('\n')) {
    const colon = row.indexOf(':');
    if (colon < 1) continue;
    const value = row.slice(colon + 1).replace(/^ /, '');
    const name = row.slice(0, colon);
    if (name === 'data') data.push(value);
    else if (name === 'event') frame.event = value;
  }
  if (!data.length) return null;
  frame.data = JSON.parse(data.join('\n'));
  return frame;
}
