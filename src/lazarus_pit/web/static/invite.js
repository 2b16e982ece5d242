// Somebody new in a cell: a form, and the token that lets them in, shown once.

import { act } from './actions.js';
import { mayAct, place } from './api.js';
import { button, h, say } from './dom.js';
import { labelOf } from './fleet.js';
import { line } from './words.js';

const ROLES = ['developer', 'reviewer', 'observer', 'coordinator'];

/** Return `{node, opener, show(cell)}`. */
export function inviteForm() {
  let cell = null;
  const name = h('input', { name: 'name', maxlength: '64', autocomplete: 'off', required: true });
  const roles = ROLES.map((value) => h('option', { value }, value));
  const role = h('select', { name: 'role' }, ...roles);
  const human = h('input', { type: 'checkbox', name: 'human' });
  const given = h('output', { class: 'given', hidden: true });
  const node = h(
    'form',
    { class: 'mailform', 'data-form': 'invite', hidden: true },
    h('label', {}, 'Name ', name),
    h('label', {}, 'Role ', role),
    h('label', { class: 'wide check' }, human, ' a person, not an agent'),
    h('button', { type: 'submit', class: 'main' }, 'Invite'),
    given,
  );
  const opener = button('Invite', () => {
    node.hidden = !node.hidden;
    opener.setAttribute('aria-expanded', String(!node.hidden));
    if (node.hidden) given.hidden = true;
    else name.focus();
  }, { hidden: true, 'aria-expanded': 'false', 'data-opens': 'invite' });
  node.addEventListener('submit', async (event) => {
    event.preventDefault();
    const isHuman = human.checked;
    const body = { name: name.value.trim(), role: role.value, human: isHuman };
    const label = line(labelOf(cell), 64);
    const done = await act(place(cell.uuid), 'invite', body, label, { said: 'invited' });
    if (!done) return;
    const token = line(done.said, 400);
    say(given, `lazarus join ${token}${isHuman ? '' : ' -- PROGRAM'}`);
    given.hidden = false;
    name.value = '';
  });
  const show = (found) => {
    cell = found;
    opener.hidden = !(mayAct() && cell.status === 'active');
    if (opener.hidden) node.hidden = true;
  };
  return { node, opener, show };
}
