// The mail of a cell. Subjects and bodies are what agents wrote: text, whatever stands in it.

import { act } from './actions.js';
import { json, mayAct, place } from './api.js';
import { button, h, isInUse, keyed, say } from './dom.js';
import { labelOf, now } from './fleet.js';
import { clock, line, many, plain } from './words.js';

const ROLES = ['developer', 'reviewer', 'observer', 'coordinator'];
const STATES = { waiting: 'waits', done: 'acknowledged', dead: 'dead letter' };

/** Return `{node, show(cell), refresh()}`: the mail of a cell, and a form for its people. */
export function mailView(uuid) {
  const list = h('ol', { class: 'mails' });
  const showRows = keyed(list, ({ key }) => key, mailRow(uuid), () => isInUse(list));
  const none = h('p', { class: 'quiet' }, 'No mail yet.');
  const title = h('h3', { tabindex: '-1' }, 'Mail');
  const form = mailForm();
  const refresh = async () => {
    const { mail, total } = await json(`${place(uuid)}/mail`);
    showRows(gathered(mail).reverse());
    none.hidden = mail.length > 0;
    say(title, total > mail.length ? `Mail (the newest ${mail.length} of ${total})` : 'Mail');
  };
  const head = h('div', { class: 'head' }, title, form.opener);
  return { node: h('section', {}, head, form.node, none, list), show: form.show, refresh };
}

/** Return what was sent once as one item, with all who have it. */
function gathered(mails) {
  const found = new Map();
  for (const mail of mails) {
    const key = `${mail.from} ${mail.id}`;
    const item = found.get(key) ?? { key, mail, copies: [] };
    item.copies.push(mail);
    found.set(key, item);
  }
  return [...found.values()];
}

function mailRow(uuid) {
  return () => {
    let mail = null;
    const who = h('b');
    const kind = h('span', { class: 'tone', 'data-tone': 'ask' });
    const time = h('span', { class: 'quiet' });
    const subject = h('p', { class: 'name' });
    const body = h('p', { class: 'body' });
    const state = h('p', { class: 'quiet small' });
    const more = button('Show all of it', async () => {
      const path = [mail.receiver, mail.id].map(encodeURIComponent).join('/');
      const whole = await json(`${place(uuid)}/mail/${path}`);
      say(body, plain(whole.body));
      more.hidden = true;
    });
    const head = h('p', { class: 'mailhead' }, who, kind, time);
    const node = h('li', {}, head, subject, body, more, state);
    const update = (item) => {
      const isNew = mail === null;
      mail = item.mail;
      const names = item.copies.map((one) => line(one.receiver, 64));
      const to = names.length > 3 ? many(names.length, 'member') : names.join(', ');
      say(who, `${line(mail.from, 64)} → ${to}`);
      say(kind, mail.kind === 'note' ? '' : line(mail.kind, 20));
      say(time, clock(mail.delivered, now()));
      say(subject, line(mail.subject, 200));
      if (isNew) {
        say(body, plain(mail.body) + (mail.is_cut ? '…' : ''));
        more.hidden = !mail.is_cut;
      }
      say(state, states(item.copies));
    };
    return { node, update };
  };
}

function states(copies) {
  const counts = new Map();
  for (const { state } of copies) counts.set(state, (counts.get(state) ?? 0) + 1);
  if (copies.length === 1) return STATES[copies[0].state];
  return [...counts].map(([state, count]) => `${STATES[state]} (${count})`).join(', ');
}

/** A form that only people of the cell can fill: agents write by themselves. */
function mailForm() {
  let cell = null;
  const as = h('select', { name: 'as' });
  const to = h('select', { name: 'to' });
  const subject = h('input', { name: 'subject', maxlength: '200', autocomplete: 'off' });
  const body = h('textarea', { name: 'body', rows: '4', maxlength: '16000', required: true });
  const node = h(
    'form',
    { class: 'mailform', 'data-form': 'mail', hidden: true },
    h('label', {}, 'As ', as),
    h('label', {}, 'To ', to),
    h('label', { class: 'wide' }, 'Subject ', subject),
    h('label', { class: 'wide' }, 'Text ', body),
    h('button', { type: 'submit', class: 'main' }, 'Send'),
  );
  const opener = button('Write', () => {
    node.hidden = !node.hidden;
    opener.setAttribute('aria-expanded', String(!node.hidden));
    if (!node.hidden) body.focus();
  }, { hidden: true, 'aria-expanded': 'false', 'data-opens': 'mail' });
  node.addEventListener('submit', async (event) => {
    event.preventDefault();
    const said = { as: as.value, to: to.value, body: body.value };
    if (subject.value.trim()) said.subject = subject.value.trim();
    const name = line(labelOf(cell), 64);
    if (!(await act(place(cell.uuid), 'mail', said, name, { said: 'sent' }))) return;
    body.value = '';
    subject.value = '';
  });
  const show = (found) => {
    cell = found;
    const people = cell.agents.filter((one) => one.kind === 'human').map((one) => one.name);
    opener.hidden = !(mayAct() && people.length && cell.status !== 'archived');
    if (opener.hidden) node.hidden = true;
    choices(as, people);
    choices(to, [...cell.agents.map((one) => one.name), ...ROLES, '*']);
  };
  return { node, opener, show };
}

const WORDS = { '*': 'everybody' };

function choices(select, values) {
  const before = [...select.options].map((one) => one.value);
  if (JSON.stringify(before) === JSON.stringify(values)) return;
  const chosen = select.value;
  select.replaceChildren(
    ...values.map((value) => h('option', { value }, WORDS[value] ?? line(value, 64))),
  );
  if (values.includes(chosen)) select.value = chosen;
}
