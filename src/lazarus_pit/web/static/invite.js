// Somebody new in a cell: a form, and the token that lets them in, shown once.

import { act } from './actions.js';
import { mayAct, place } from './api.js';
import { h, say } from './dom.js';
import { labelOf } from './fleet.js';
import { choice, form, offer, ROLES } from './forms.js';
import { line } from './words.js';

/** Return `{node, opener, show(cell)}`. */
export function inviteForm() {
  let cell = null;
  const name = h('input', { name: 'name', maxlength: '64', autocomplete: 'off', required: true });
  const role = choice('role', ROLES);
  const human = h('input', { type: 'checkbox', name: 'human' });
  const given = h('output', { class: 'given', hidden: true });
  const send = async () => {
    const isHuman = human.checked;
    const body = { name: name.value.trim(), role: role.value, human: isHuman };
    const label = line(labelOf(cell), 64);
    const done = await act(place(cell.uuid), 'invite', body, label, { said: 'invited' });
    if (!done) return;
    const token = line(done.said, 400);
    say(given, `lazarus join ${token}${isHuman ? '' : ' -- PROGRAM'}`);
    given.hidden = false;
    name.value = '';
  };
  const made = form(
    'invite',
    'Invite',
    { first: name, send, yes: 'Invite' },
    h('label', {}, 'Name ', name),
    h('label', {}, 'Role ', role),
    h('label', { class: 'wide check' }, human, ' a person, not an agent'),
  );
  made.node.append(given);
  made.opener.addEventListener('click', () => (given.hidden = true));
  const show = (found) => {
    cell = found;
    offer(made, mayAct() && cell.status === 'active');
  };
  return { ...made, show };
}
