// Agents outside every cell, as the resurrection pool remembers them.

import { ago } from './ages.js';
import { attribute, h, keyed, say } from './dom.js';
import { fleet } from './fleet.js';
import { collated, line, many } from './words.js';

/** phase: glyph, word, tone; the worst first. */
const LOOKS = {
  escalated: ['✕', 'given up', 'bad'],
  awaiting: ['?', 'asks', 'ask'],
  reviving: ['↻', 'reviving', 'move'],
  backoff: ['↻', 'due', 'move'],
  dead: ['✕', 'dead', 'warn'],
  watched: ['●', 'watched', 'good'],
};
const RANKS = Object.keys(LOOKS);

function lookOf(gateway) {
  if (gateway.phase === 'watched' && gateway.dead_since !== null) return 'dead';
  return gateway.phase in LOOKS ? gateway.phase : 'watched';
}

/** Return `show()`, which keeps the list of them; a pit without any has no such list. */
export function poolList(section, list) {
  const showRows = keyed(list, (gateway) => gateway.name, row);
  return () => {
    section.hidden = !fleet.gateways.length;
    const rank = (gateway) => RANKS.indexOf(lookOf(gateway));
    showRows(
      [...fleet.gateways].sort(
        (one, other) => rank(one) - rank(other) || collated(one.name, other.name),
      ),
    );
  };
}

function row() {
  const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
  const name = h('b');
  const word = h('span', { class: 'tone' });
  const since = ago();
  const dead = h('span', {}, 'dead for ', since);
  const used = h('span');
  const facts = h('span', { class: 'quiet' }, dead, used);
  const what = h('div', { class: 'what' }, h('div', {}, name, ' ', word), facts);
  const node = h('li', { class: 'need' }, glyph, what);
  const update = (gateway) => {
    const [mark, text, tone] = LOOKS[lookOf(gateway)];
    attribute(node, 'data-tone', tone);
    say(glyph, mark);
    say(name, line(gateway.name, 64));
    say(word, text);
    dead.hidden = gateway.dead_since === null;
    since.set(gateway.dead_since);
    say(used, gateway.attempts ? ` · ${many(gateway.attempts, 'attempt')} used` : '');
  };
  return { node, update };
}
