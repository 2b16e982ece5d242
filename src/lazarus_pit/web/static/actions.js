// What can be done to an agent or a cell, when it is offered, and what is asked before.

import { ask, json, mayAct, mayDecide, place, Refused } from './api.js';
import { confirmed } from './dialog.js';
import { attribute, button, h } from './dom.js';
import { labelOf } from './fleet.js';
import { line, lookOf } from './words.js';

const INERT = ['human', 'invited', 'no command', '-'];
const ENDED = ['stopped', 'exited', 'escalated'];
const LIVING = ['running', 'starting', 'held', 'frozen', 'dead', 'silent', 'quota'];

/** verb: text, when it is offered, and the question where work could be lost. */
const OF_AGENTS = {
  start: {
    text: 'Start',
    offered: (agent) => ['stopped', 'exited'].includes(agent.state),
  },
  revive: {
    text: 'Revive',
    offered: (agent, inRow) =>
      lookOf(agent).needs || agent.state === 'reviving' || (isLiving(agent) && !inRow),
    asks: (agent) =>
      isLiving(agent) && {
        title: `Give ${line(agent.name, 64)} a new life?`,
        text: 'It is alive. This life is ended, the next begins; what it has not saved is lost.',
        yes: 'End this life and revive',
      },
  },
  stop: {
    text: 'Stop',
    offered: (agent) => !ENDED.includes(agent.state) && agent.desired !== 'stop',
    asks: (agent) => ({
      title: `Stop ${line(agent.name, 64)}?`,
      text: 'It is asked to end, then ended, and stays stopped until somebody starts it.',
      yes: 'Stop it',
    }),
  },
  kick: {
    text: 'Take out',
    isForAll: true,
    offered: (agent, inRow) => !inRow,
    asks: (agent) => ({
      title: `Take ${line(agent.name, 64)} out of its cell?`,
      text: 'It is stopped and is no longer a member; its directories and its mail stay.',
      yes: 'Take it out',
    }),
  },
};

const OF_CELLS = {
  freeze: { text: 'Freeze', offered: (cell) => cell.status === 'active' },
  thaw: { text: 'Thaw', offered: (cell) => cell.status === 'frozen' || cell.asleep },
  checkpoint: {
    text: 'Checkpoint',
    offered: (cell) => ['active', 'frozen'].includes(cell.status),
  },
  archive: {
    text: 'Archive',
    offered: (cell, onCard) => !onCard && ['active', 'frozen'].includes(cell.status),
    asks: (cell) => ({
      title: `Archive ${line(labelOf(cell), 64)}?`,
      text: 'The mission ends: its agents are stopped, a last checkpoint is taken, the cell is kept.',
      yes: 'End the mission',
    }),
  },
  export: {
    text: 'Export',
    offered: (cell, onCard) => !onCard,
    does: download,
  },
  destroy: {
    text: 'Destroy',
    offered: (cell, onCard) => !onCard && cell.status === 'archived',
    does: destroy,
  },
};

/** Whether an operator's word is enough: who is asked about is for an approver. */
function agentIsFree(agent) {
  return agent.state !== 'awaiting';
}

function isLiving(agent) {
  return Boolean(agent.pid) && LIVING.includes(lookOf(agent).state);
}

/** Return the buttons of an agent as `{node, update(cell, agent)}`; a row offers the usual ones. */
export function agentButtons({ inRow = false } = {}) {
  let now = {};
  return row(OF_AGENTS, {
    take: (cell, agent) => (now = { cell, agent }),
    offers: (verb) =>
      (agentIsFree(now.agent) || mayDecide()) &&
      (verb.isForAll || !INERT.includes(now.agent.state)) && verb.offered(now.agent, inRow),
    names: () => line(now.agent.name, 64),
    press: async (word, verb) => {
      const { cell, agent } = now;
      const question = verb.asks?.(agent);
      if (question && (await confirmed(question)) === null) return;
      // What was asked about is this very life: another that came meanwhile is not meant.
      const version = question ? agent.version : null;
      await act(place(cell.uuid, agent.name), word, {}, line(agent.name, 64), { version });
    },
  });
}

/** Return the buttons of a cell as `{node, update(cell)}`; a card offers the usual ones. */
export function cellButtons({ onCard = false } = {}) {
  let cell = null;
  return row(OF_CELLS, {
    take: (found) => (cell = found),
    offers: (verb) => !cell.problem && verb.offered(cell, onCard),
    names: () => line(labelOf(cell), 64),
    press: async (word, verb) => {
      if (verb.does) return verb.does(cell);
      const { uuid, version } = cell;
      const question = verb.asks?.(cell);
      if (question && (await confirmed(question)) === null) return;
      const about = question ? { version } : {};
      await act(place(uuid), word, {}, line(labelOf(cell), 64), about);
    },
  });
}

function row(verbs, { take, offers, names, press }) {
  const node = h('div', { class: 'buttons' });
  const made = Object.entries(verbs).map(([word, verb]) => {
    const one = button(verb.text, () => press(word, verb), { hidden: true, 'data-verb': word });
    node.append(one);
    return [verb, one];
  });
  const update = (...whom) => {
    take(...whom);
    for (const [verb, one] of made) {
      attribute(one, 'hidden', !(mayAct() && offers(verb)));
      attribute(one, 'aria-label', `${verb.text} ${names()}`);
    }
  };
  return { node, update };
}

/** Save a cell's archive where the browser saves what it is given. */
async function download(cell) {
  const name = line(labelOf(cell), 64);
  notice(`export ${name}: asked for…`, '');
  try {
    const answer = await ask(`${place(cell.uuid)}/export`);
    const file = URL.createObjectURL(await answer.blob());
    const [, as] = /filename="([\w.-]+)"/.exec(answer.headers.get('Content-Disposition') ?? '') ?? [];
    h('a', { href: file, download: as ?? 'cell.tar.gz' }).click();
    setTimeout(() => URL.revokeObjectURL(file), READ_MS);
    notice(`export ${name}: saved`, 'good');
  } catch (error) {
    notice(`export ${name}: refused: ${line(error.message, 600)}`, 'bad');
  }
}

/** Remove a cell for good, after asking; where work would be lost, after asking for that too. */
async function destroy(cell) {
  const name = line(labelOf(cell), 64);
  const { uuid, version } = cell;
  const sure = await confirmed({
    title: `Destroy ${name}?`,
    text: 'The cell is removed for good. Its last checkpoint is kept in the graveyard of this host.',
    yes: 'Remove it',
  });
  if (sure === null) return;
  const asked = await act(place(uuid), 'destroy', {}, name, { version });
  if (!asked?.token) return;
  const agreed = await confirmed({
    title: `Lose work of ${name}?`,
    text: line(asked.refused.replace(/ To lose it for good: .*$/s, ''), 1500),
    yes: 'Lose it for good',
  });
  if (agreed === null) return;
  await act(place(uuid), 'destroy', { token: asked.token }, name, { version });
}

/** Bring a checkpoint back, after asking. */
export async function restore(cell, checkpoint, words) {
  const name = line(labelOf(cell), 64);
  const { version } = cell;
  const sure = await confirmed({
    title: `Restore ${name}?`,
    text:
      `The agents' lives are ended, and the workspace becomes what it was in ${checkpoint.id} ` +
      `(${words}). What was done since is kept only until the next checkpoint of this cell.`,
    yes: `Restore ${checkpoint.id}`,
  });
  if (sure === null) return;
  await act(place(cell.uuid), 'restore', { checkpoint: checkpoint.id }, name, { version });
}

/** Make a new cell of a checkpoint, after asking for its name. */
export async function fork(cell, checkpoint) {
  const name = line(labelOf(cell), 64);
  const given = await confirmed({
    title: `Fork ${name}?`,
    text: `A new cell is made of ${checkpoint.id}. This one is left as it is.`,
    yes: 'Fork',
    field: true,
    danger: false,
  });
  if (given === null) return;
  const body = { checkpoint: checkpoint.id, ...(given ? { name: given } : {}) };
  await act(place(cell.uuid), 'fork', body, name);
}

/**
 * Do something, say at the foot of the page what became of it, and return the answer; `null` where
 * it was refused, `{token, refused}` where it is done when asked again with that token.
 *
 * With a `version` it is refused where the cell or agent has changed meanwhile; `said` is said of
 * success in place of the command's own words; `awaited` has its end waited for, however long it is.
 */
export async function act(path, word, body, name, { version = null, said = null, awaited = false } = {}) {
  const headers = version === null ? {} : { 'If-Match': `"${version}"` };
  notice(`${word} ${name}: asked for…`, '');
  try {
    const wish = { method: 'POST', body: JSON.stringify(body), headers };
    let done = await json(`${path}/${word}`, wish);
    if (awaited && !done.done) done = await ended(done.operation);
    notice(`${word} ${name}: ${line(said ?? (done.said || 'done'), 300)}`, 'good');
    return done;
  } catch (error) {
    if (error.token && !body.token) {
      notice('', '');
      return { token: error.token, refused: error.message };
    }
    notice(`${word} ${name}: refused: ${line(error.message, 600)}`, 'bad');
    return null;
  }
}

/** Wait for the end of what was begun; raises `Refused` where it failed. */
async function ended(id) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const { state, said } = await json(`/api/v1/operations/${encodeURIComponent(id)}`);
    if (state === 'done') return { done: true, said, operation: id };
    if (state !== 'running') throw new Refused(409, said);
  }
}

const LOOK_MS = 1000;
const READ_MS = 10_000;
let fading = 0;

/** Say what became of something: good news goes by itself, bad news when it is dismissed. */
export function notice(text, tone) {
  clearTimeout(fading);
  document.getElementById('notice').textContent = text;
  attribute(document.getElementById('toast'), 'data-tone', tone || null);
  if (tone === 'good') fading = setTimeout(() => notice('', ''), READ_MS);
}
