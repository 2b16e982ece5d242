// Who died and may live again when somebody says so, what agents ask, and what was said lately.

import { act } from './actions.js';
import { ago, until } from './ages.js';
import { mayDecide } from './api.js';
import { attribute, button, h, keyed, say } from './dom.js';
import { fleet, labelOf, now } from './fleet.js';
import { line, many } from './words.js';

const LATELY = 3600; // Seconds for which an answer stays in sight.
const MOST = 4;

const VERBS = [
  ['approve', 'Approve', 'main', 'it is given a new life', 'it goes on where it was'],
  ['deny', 'Deny', null, 'it stays dead', 'it is ended'],
];

/** Return the requests that can still be answered, oldest first. */
export function openOnes() {
  return fleet.approvals.filter((one) => one.outcome === 'open' && one.expires > now());
}

/** Return how people call the one who is asked about. */
export function whoOf(one) {
  if (one.cell === null) return `pool / ${line(one.agent, 64)}`;
  const cell = fleet.cells.get(one.cell);
  return `${line(cell ? labelOf(cell) : one.cell.slice(0, 8), 64)} / ${line(one.agent, 64)}`;
}

/** Return the row of a request: `{node, update({approval})}`. */
export function approvalRow(link) {
  let one = null;
  const name = h('a', { class: 'name' });
  const asks = h('span', { class: 'tone' });
  const words = h('q', { dir: 'ltr' }); // An agent's own words: never anything but text.
  const dead = ago();
  const left = until();
  const before = h('span', {}, 'dead for ', dead, ' · ');
  const used = h('span');
  const why = h('span', { class: 'quiet' }, before, used, 'expires in ', left);
  const comment = h('input', {
    name: 'comment', maxlength: '500', autocomplete: 'off', placeholder: 'why (the agent is told)',
  });
  const buttons = h('div', { class: 'buttons', hidden: !mayDecide() });
  for (const [verb, text, tone, ofDead, ofHeld] of VERBS) {
    const press = () => {
      const ofAlive = one.question === null ? ofDead : 'the agent is told';
      const body = comment.value.trim() ? { comment: comment.value.trim() } : {};
      return act(`/api/v1/approvals/${one.id}`, verb, body, whoOf(one), { said: one.why ? ofHeld : ofAlive });
    };
    buttons.append(button(text, press, { 'data-verb': verb, class: tone }));
  }
  buttons.prepend(comment);
  const node = h(
    'li',
    { class: 'need asked', 'data-tone': 'ask' },
    h('span', { class: 'glyph', 'aria-hidden': 'true' }, '?'),
    h('div', { class: 'what' }, h('div', {}, name, ' ', asks), words, why),
    buttons,
  );
  const update = ({ approval }) => {
    one = approval;
    attribute(node, 'data-request', one.id);
    say(name, whoOf(one));
    attribute(name, 'href', one.cell === null ? null : link({ uuid: one.cell }, one.agent));
    say(asks, one.question === null ? 'asks' : 'asks you a question (nobody is revived by it):');
    words.hidden = comment.hidden = one.question === null;
    attribute(comment, 'aria-label', `Why, for ${whoOf(one)}`);
    say(words, one.question ?? '');
    before.hidden = one.died === null;
    dead.set(one.died);
    left.set(one.expires);
    const spent = one.attempts ? `${many(one.attempts, 'attempt')} used · ` : '';
    say(used, one.why ? `stands still: ${line(one.why, 160)} · ` : spent);
    const what = one.question === null ? 'the revive of' : 'the question of';
    buttons.querySelectorAll('button').forEach((node, index) => {
      attribute(node, 'aria-label', `${VERBS[index][1]} ${one.why ? 'that it goes on:' : what} ${whoOf(one)}`);
    });
  };
  return { node, update };
}

const LOOKS = {
  approved: ['●', 'good', 'approved'],
  denied: ['✕', 'bad', 'denied'],
  expired: ['◐', 'warn', 'nobody answered in time'],
  superseded: ['–', 'quiet', 'needed no word any more'],
};

/** Return `show()`, which keeps the list of what was answered lately. */
export function answered(list) {
  const showRows = keyed(list, (one) => one.id, row);
  return () => {
    const since = now() - LATELY;
    showRows(fleet.approvals.filter((one) => one.closed > since).slice(0, MOST));
    list.hidden = !list.children.length;
  };

  function row() {
    const glyph = h('span', { class: 'glyph', 'aria-hidden': 'true' });
    const words = h('span');
    const age = ago();
    const node = h('li', {}, glyph, h('span', {}, words, ' · ', age, ' ago'));
    const update = (one) => {
      const [mark, tone, word] = LOOKS[one.outcome] ?? LOOKS.superseded;
      const by = one.by ? ` by ${line(one.by, 40)} (${line(one.via, 20)})` : '';
      attribute(node, 'data-tone', tone);
      say(glyph, mark);
      say(words, `${whoOf(one)}: ${one.question === null ? '' : 'its question '}${word}${by}`);
      age.set(one.closed);
    };
    return { node, update };
  }
}
