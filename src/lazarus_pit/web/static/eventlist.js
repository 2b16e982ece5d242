// Events in words, the newest first.

import { button, h, keyed, say } from './dom.js';
import { now } from './fleet.js';
import { markOf, wordsOf } from './marks.js';
import { clock, line } from './words.js';

const PAGE = 60;

/** Return `{node, show()}` over a journal; `agent` shows only one agent's lines. */
export function eventList(journal, agent = null) {
  const list = h('ol', { class: 'events' });
  const showRows = keyed(list, (event) => event, row);
  const beats = h('input', { type: 'checkbox' });
  const none = h('p', { class: 'quiet' }, 'Nothing has happened yet.');
  let most = PAGE;
  const more = button('Show older', async () => {
    most += PAGE;
    if (wanted().length < most && journal.hasOlder()) await journal.older();
    show();
  });

  const wanted = () =>
    journal
      .lines()
      .filter((event) => agent === null || event.agent === agent)
      .filter((event) => beats.checked || event.event !== 'heartbeat');

  function show() {
    const events = wanted();
    showRows(events.slice(-most).reverse());
    none.hidden = events.length > 0;
    more.hidden = events.length <= most && !journal.hasOlder();
  }

  beats.addEventListener('change', show);
  const label = h('label', {}, beats, ' what agents say, too');
  const head = h('div', { class: 'head' }, h('h3', {}, 'Events'), label);
  return { node: h('section', { class: 'happened' }, head, none, list, more), show };

  function row() {
    const time = h('time', { class: 'quiet' });
    const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
    const who = h('b');
    const words = h('span');
    const node = h('li', {}, time, glyph, h('span', {}, who, ' ', words));
    const update = (event) => {
      const mark = markOf(event);
      const at = Date.parse(event.ts) / 1000;
      time.setAttribute('datetime', event.ts);
      say(time, clock(at, now()));
      node.setAttribute('data-tone', mark.tone);
      say(glyph, mark.glyph);
      say(who, agent === null && event.agent ? line(event.agent, 64) : '');
      say(words, line(wordsOf(event), 320));
    };
    return { node, update };
  }
}
