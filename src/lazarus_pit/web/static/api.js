// The HTTP API, asked with the token of this tab. The token is never in a cookie: a browser would
// send that to every port of this host, an agent's own web server included.

const TOKEN = 'lazarus-token';
const ROLE = 'lazarus-role';

/** What the API answered when it said no; `status` is 0 where it was not reached. `token` agrees. */
export class Refused extends Error {
  constructor(status, message, token = '') {
    super(message);
    this.status = status;
    this.token = token;
  }
}

/** Whether this tab has a token. */
export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

/** Whether the one who looks may also act. */
export function mayAct() {
  return sessionStorage.getItem(ROLE) !== 'viewer';
}

/** Whether they may also answer approvals. */
export function mayDecide() {
  return sessionStorage.getItem(ROLE) === 'approver';
}

/** Forget the token. */
export function logout() {
  sessionStorage.removeItem(TOKEN);
  sessionStorage.removeItem(ROLE);
}

/** Exchange the secret of a one-time link for a token. */
export async function login(link) {
  const given = await json('/api/v1/login', { method: 'POST', body: JSON.stringify({ link }) });
  sessionStorage.setItem(TOKEN, given.token);
  sessionStorage.setItem(ROLE, given.role);
}

/** Ask, and return the answer as it stands; raises `Refused`. */
export async function ask(path, { headers = {}, ...options } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const bearer = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...bearer, ...headers } });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, 'the pit does not answer');
  }
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** Ask for JSON. */
export async function json(path, options) {
  return (await ask(path, options)).json();
}

/** Ask for text. */
export async function text(path, options) {
  return (await ask(path, options)).text();
}

/** Return the address of a cell, or of an agent in it. */
export function place(uuid, agent = null) {
  const cell = `/api/v1/cells/${encodeURIComponent(uuid)}`;
  return agent === null ? cell : `${cell}/agents/${encodeURIComponent(agent)}`;
}

async function refusal(answer) {
  const why = `it answered ${answer.status}`;
  try {
    const { error = why, token } = await answer.json();
    return new Refused(answer.status, error, token);
  } catch {
    return new Refused(answer.status, why);
  }
}
