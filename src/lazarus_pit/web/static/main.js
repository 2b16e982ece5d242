// The page: log in, stay connected, show what the address names.

import { agentView } from './agent.js';
import { tick } from './ages.js';
import { notice } from './actions.js';
import { hasToken, login, logout } from './api.js';
import { cellView } from './cell.js';
import { attribute, h, say } from './dom.js';
import { fleet, load, merge, onChange } from './fleet.js';
import { journal } from './journal.js';
import { overview } from './overview.js';
import { connect } from './stream.js';
import { line } from './words.js';

const REFRESH_MS = 2500; // Of what is looked at: beats and logs are not streamed.
const DOWN =
  '✕ The daemon is down: nothing is revived, and what stands here is what it last said. ' +
  '`lazarus up` starts it.';
const find = (id) => document.getElementById(id);
let view = null; // {node, show, hear, refresh, journal}
let looked = null; // What `route` has shown last.

// ------------------------------------------------------------ the door

async function enter() {
  const [, secret] = /^#login=([\w-]+)$/.exec(location.hash) ?? [];
  if (secret) history.replaceState(null, '', '/#/'); // Before anything can read it over a shoulder.
  if (secret && !(await opened(secret))) return;
  if (!hasToken()) {
    closed('');
    return;
  }
  find('door').hidden = true;
  find('main').hidden = false;
  start();
}

async function opened(secret) {
  try {
    await login(secret);
    return true;
  } catch (error) {
    if (hasToken()) return true; // An old link in a tab that is in already.
    closed(error.message);
    return false;
  }
}

function closed(said) {
  find('main').hidden = true;
  find('door').hidden = false;
  find('door-said').textContent = said;
  linkState('off', 'logged out');
  view = null; // Nothing is asked for any more.
}

function listenAtDoor() {
  find('door-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const given = find('door-link').value.trim();
    const secret = given.includes('#login=') ? given.split('#login=')[1] : given;
    find('door-link').value = '';
    if (await opened(secret)) location.reload();
  });
}

// ------------------------------------------------------------ the connection

function start() {
  const show = overview();
  onChange(() => {
    show();
    route(); // A cell that is looked at may have gone, or come.
    view?.show();
    daemonState();
  });
  window.addEventListener('hashchange', route);
  document.querySelector('.skip').addEventListener('click', (event) => {
    event.preventDefault(); // The address names what is looked at, and that does not change.
    find('cells-title').focus();
  });
  route();
  tick();
  connect(hear, linkChanged);
  setInterval(() => document.hidden || refresh(), REFRESH_MS);
}

function hear(type, data) {
  if (type === 'hello') catchUp();
  else if (type === 'fleet') merge(data);
  else if (type === 'event') view?.journal.hear(data);
}

function catchUp() {
  load().catch(failed);
  view?.journal.load().catch(failed);
}

function linkChanged(state, error) {
  if (error?.status === 401) {
    logout();
    closed('This login is no longer valid.');
    return false;
  }
  const words = { live: 'live', lost: 'lost, trying again', paused: 'paused' };
  linkState(state, words[state]);
  return true;
}

function linkState(state, words) {
  attribute(find('link'), 'data-state', state);
  say(find('link'), words);
}

function daemonState() {
  standing('down', fleet.known && fleet.daemon.up === false ? DOWN : '');
  const why = fleet.problem && line(fleet.problem, 200);
  standing('unasked', why ? `Requests for your word cannot be read: ${why}` : '');
}

/** Show a notice for as long as there are words for it. */
function standing(id, words) {
  const node = find(id);
  if (!words) node?.remove();
  else if (node) say(node, words);
  else {
    const made = h('p', { id, class: 'notice', role: 'alert', 'data-tone': 'bad' });
    say(made, words);
    find('main').prepend(made);
  }
}

function failed(error) {
  if (error.status === 404) return; // It went away while it was asked for; the fleet will say so.
  if (error.status === 401) linkChanged('lost', error);
  else if (error.status) notice(line(error.message, 300), 'bad');
}

// ------------------------------------------------------------ what is looked at

function route() {
  const [uuid, name] = placeOf(location.hash);
  const isGone = Boolean(uuid) && fleet.known && !fleet.cells.has(uuid);
  const wanted = `${isGone ? 'gone' : ''}${location.hash}`;
  if (wanted === looked) return;
  looked = wanted;
  const detail = find('detail');
  const held = detail.contains(document.activeElement);
  view = null;
  attribute(document.body, 'data-chosen', Boolean(uuid));
  detail.hidden = !uuid;
  if (!uuid) {
    detail.replaceChildren();
    return;
  }
  if (isGone) {
    const back = h('a', { href: '#/' }, 'All cells');
    detail.replaceChildren(h('p', {}, 'There is no such cell. ', back));
    if (held) back.focus(); // Whoever was at the keyboard there stays near.
    return;
  }
  open(detail, uuid, name ?? null);
}

function open(detail, uuid, name) {
  const lines = journal(uuid, () => view?.journal === lines && view.hear());
  const made = name === null ? cellView(uuid, lines) : agentView(uuid, name, lines);
  view = { ...made, journal: lines };
  detail.replaceChildren(view.node);
  view.show();
  lines.load().catch(failed);
  refresh();
  detail.scrollTop = 0;
  if (fleet.known) view.node.querySelector('h2').focus({ preventScroll: true });
  if (getComputedStyle(find('fleet')).display === 'none') scrollTo(0, 0);
}

let busy = null;
function refresh() {
  const mine = view;
  if (!mine || busy === mine) return; // The last one is still under way.
  busy = mine;
  mine.refresh().catch(failed).finally(() => {
    if (busy === mine) busy = null;
  });
}

function placeOf(hash) {
  try {
    const parts = (hash.startsWith('#/') ? hash.slice(2) : '').split('/').filter(Boolean);
    return parts.slice(0, 2).map(decodeURIComponent);
  } catch {
    return [];
  }
}

listenAtDoor();
window.addEventListener('hashchange', () => {
  if (location.hash.startsWith('#login=')) location.reload(); // Opened in this very tab.
});
find('notice-close').addEventListener('click', () => notice('', ''));
enter();
