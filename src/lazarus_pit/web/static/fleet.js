// What is known of the fleet, and who wants to hear when it changes. Cells that did not change stay
// the very same objects, which is how the page knows what to leave alone.

import { json } from './api.js';

/**
 * The cells by UUID, what the daemon says of itself, the requests for people's words (and why they
 * cannot be read), and the agents outside every cell.
 */
export const fleet = {
  cells: new Map(), daemon: {}, approvals: [], problem: null, gateways: [], known: false,
};

let skew = 0; // Seconds by which the pit's clock is ahead of ours.
const listeners = new Set();
let due = false;

/** Return Unix seconds by the pit's clock. */
export function now() {
  return Date.now() / 1000 + skew;
}

/** Call `listener` in the next frame after any change. */
export function onChange(listener) {
  listeners.add(listener);
}

/** Ask every listener to look again; many calls in one frame are one look. */
export function changed() {
  if (due) return;
  due = true;
  requestAnimationFrame(() => {
    due = false;
    for (const listener of listeners) listener();
  });
}

/** Get the whole fleet. */
export async function load() {
  const whole = await json('/api/v1/fleet');
  skew = whole.now - Date.now() / 1000;
  const before = fleet.cells;
  fleet.cells = new Map(whole.cells.map((cell) => [cell.uuid, kept(before, cell, whole.now)]));
  fleet.daemon = whole.daemon;
  fleet.approvals = whole.approvals;
  fleet.problem = whole.approvals_problem;
  fleet.gateways = whole.gateways;
  fleet.known = true;
  changed();
}

/** Take in one frame of the stream: cells that changed, whole, and those that are gone. */
export function merge(frame) {
  skew = frame.now - Date.now() / 1000;
  for (const uuid of frame.gone ?? []) fleet.cells.delete(uuid);
  for (const cell of frame.cells ?? []) known(cell, frame.now);
  if (frame.daemon) fleet.daemon = frame.daemon;
  if (frame.approvals) [fleet.approvals, fleet.problem] = [frame.approvals, null];
  if (frame.gateways) fleet.gateways = frame.gateways;
  changed();
}

/** Take in what was got of one cell; one that has gone meanwhile stays away. */
export function put(cell) {
  if (!fleet.cells.has(cell.uuid)) return;
  known(cell, now());
  changed();
}

function known(cell, at) {
  fleet.cells.set(cell.uuid, kept(fleet.cells, cell, at));
}

/** Return the known object where a cell is as before, else the new one, with beats as instants. */
function kept(before, cell, at) {
  for (const agent of cell.agents) {
    const age = agent.heartbeat_age;
    agent.beat = age === null || age === undefined ? null : Math.round(at - age);
    delete agent.heartbeat_age;
    delete agent.last_seen;
  }
  delete cell.checkpoints;
  const old = before.get(cell.uuid);
  const print = JSON.stringify(cell);
  if (old?.print === print) return old;
  Object.defineProperty(cell, 'print', { value: print });
  return cell;
}

/** Return every agent of every cell as `{cell, agent}`. */
export function everybody() {
  return [...fleet.cells.values()].flatMap((cell) =>
    cell.agents.map((agent) => ({ cell, agent })),
  );
}

/** Return how people call a cell. */
export function labelOf(cell) {
  return cell.name || cell.uuid.slice(0, 8);
}
