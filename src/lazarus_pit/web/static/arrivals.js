// What comes from elsewhere: a cell as an archive, somebody with an invitation.

import { act, notice } from './actions.js';
import { json, mayAct } from './api.js';
import { h } from './dom.js';
import { load } from './fleet.js';
import { choice, form, offer } from './forms.js';
import { line } from './words.js';

const NETWORKS = { none: 'none', host: 'the host\u2019s' };
const POLICIES = { '': 'as the configuration says', auto: 'by itself', ask: 'after a yes', never: 'never' };

/** Put the two forms below a heading, and their buttons beside it. */
export function arrivals(buttons, forms) {
  for (const made of [importForm(), joinForm()]) {
    offer(made, mayAct());
    buttons.append(made.opener);
    forms.append(made.node);
  }
}

function importForm() {
  const file = h('input', { type: 'file', name: 'archive', accept: '.gz,.tgz', required: true });
  const name = h('input', { name: 'name', maxlength: '64', autocomplete: 'off' });
  const start = h('input', { type: 'checkbox', name: 'start' });
  const send = async () => {
    const [archive] = file.files;
    const label = line(archive.name, 64);
    const query = new URLSearchParams({ start: start.checked ? '1' : '0' });
    if (name.value.trim()) query.set('name', name.value.trim());
    notice(`import ${label}: it is sent…`, '');
    try {
      const { said } = await json(`/api/v1/import?${query}`, { method: 'POST', body: archive });
      await load(); // The stream tells of the new cell too, but perhaps later.
      notice(`import ${label}: it is here`, 'good');
      made.node.reset();
      made.shut();
      location.hash = `#/${encodeURIComponent(said)}`;
    } catch (error) {
      notice(`import ${label}: refused: ${line(error.message, 600)}`, 'bad');
    }
  };
  const made = form(
    'import',
    'Import',
    { first: file, send, yes: 'Import' },
    h('label', { class: 'wide' }, 'Archive of `lazarus cell export` ', file),
    h('label', {}, 'Another name ', name),
    h('label', { class: 'check' }, start, ' start its agents at once'),
  );
  return made;
}

function joinForm() {
  const token = h('input', { name: 'token', autocomplete: 'off', spellcheck: 'false', required: true });
  const argv = h('textarea', { name: 'argv', rows: '3', spellcheck: 'false' });
  const policy = choice('policy', Object.keys(POLICIES), POLICIES);
  const network = choice('network', Object.keys(NETWORKS), NETWORKS);
  const send = async () => {
    const words = argv.value.split('\n').filter((word) => word !== '');
    const program = words.length ? { argv: words, network: network.value } : {};
    if (words.length && policy.value) program.policy = policy.value;
    const body = { token: tokenOf(token.value), ...program };
    if (!(await act('/api/v1', 'join', body, words.length ? 'an agent' : 'a person'))) return;
    made.node.reset();
    made.shut();
    made.opener.focus();
  };
  const made = form(
    'join',
    'Join',
    { first: token, send, yes: 'Join' },
    h('label', { class: 'wide' }, 'Invitation ', token),
    h('label', { class: 'wide' }, 'For an agent: its program and arguments, one a line ', argv),
    h('label', {}, 'It is revived ', policy),
    h('label', {}, 'Its network ', network),
  );
  return made;
}

/** Return the token in what was pasted: it alone, or the command that an invitation prints. */
function tokenOf(text) {
  return /invite-[\w-]+/.exec(text)?.[0] ?? text.trim();
}
