// The mail of a cell. Subjects and bodies are what agents wrote: text, whatever stands in it.

import { act } from './actions.js';
import { json, mayAct, place } from './api.js';
import { button, h, isInUse, keyed, say } from './dom.js';
import { labelOf, now } from './fleet.js';
import { choices, form, offer, ROLES } from './forms.js';
import { clock, line, many, plain } from './words.js';

const STATES = { waiting: 'waits', done: 'acknowledged', dead: 'dead letter' };

/** Return `{node, show(cell), refresh()}`: the mail of a cell, and a form for its people. */
export function mailView(uuid) {
  const list = h('ol', { class: 'mails' });
  const showRows = keyed(list, ({ key }) => key, mailRow(uuid), () => isInUse(list));
  const none = h('p', { class: 'quiet' }, 'No mail yet.');
  const title = h('h3', { tabindex: '-1' }, 'Mail');
  const writing = mailForm();
  const refresh = async () => {
    const { mail, total } = await json(`${place(uuid)}/mail`);
    showRows(gathered(mail).reverse());
    none.hidden = mail.length > 0;
    say(title, total > mail.length ? `Mail (the newest ${mail.length} of ${total})` : 'Mail');
  };
  const head = h('div', { class: 'head' }, title, writing.opener);
  return { node: h('section', {}, head, writing.node, none, list), show: writing.show, refresh };
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
  const send = async () => {
    const said = { as: as.value, to: to.value, body: body.value };
    if (subject.value.trim()) said.subject = subject.value.trim();
    const name = line(labelOf(cell), 64);
    if (!(await act(place(cell.uuid), 'mail', said, name, { said: 'sent' }))) return;
    body.value = '';
    subject.value = '';
  };
  const made = form(
    'mail',
    'Write',
    { first: body, send, yes: 'Send' },
    h('label', {}, 'As ', as),
    h('label', {}, 'To ', to),
    h('label', { class: 'wide' }, 'Subject ', subject),
    h('label', { class: 'wide' }, 'Text ', body),
  );
  const show = (found) => {
    cell = found;
    const people = cell.agents.filter((one) => one.kind === 'human').map((one) => one.name);
    offer(made, mayAct() && people.length > 0 && cell.status !== 'archived');
    choices(as, people);
    choices(to, [...cell.agents.map((one) => one.name), ...ROLES, '*'], { '*': 'everybody' });
  };
  return { ...made, show };
}
