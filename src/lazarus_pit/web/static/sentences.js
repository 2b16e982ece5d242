// A line of the journal in a few words. One table; an event that is not in it speaks for itself.

import { line, span } from './words.js';

const DEATHS = {
  exited: 'its process ended',
  hung: 'it had gone silent and was ended',
  stalled: 'it got nothing done and was ended',
  start_timeout: 'it was not ready in time',
  operator: 'a person asked for a new life',
};

/** Why an agent was given up. */
export const GIVEN_UP = {
  attempts_exhausted: 'every revive attempt is used up',
  policy_never: 'its policy is never to revive',
  denied: 'a person declined to revive it',
  approval_expired: 'nobody answered in time',
  no_retry_exit_code: 'its exit code says that trying again cannot help',
  cannot_start: 'it cannot be started',
  restart_never: 'its rule is never to start it again',
};

/** For what an agent is held. */
export const HOLDS = {
  quota_wait: 'waits for its quota',
  auth_hold: 'needs a login',
  needs_input: 'needs an answer',
};

const life = (event) => `life ${event.generation ?? '?'}`;
const because = (table, key) => table[key] ?? line(key ?? 'no reason given', 80);

/** event: [glyph, tone, words]. */
const TABLE = {
  cell_created: ['+', 'quiet', (e) => `cell created${e.by ? ` by ${line(e.by, 40)}` : ''}`],
  cell_frozen: ['❄\uFE0E', 'cold', () => 'people froze the cell'],
  cell_thawed: ['●', 'good', () => 'people thawed the cell'],
  cell_archived: ['✓', 'quiet', () => 'cell archived'],
  cell_restored: ['↺', 'move', (e) => `cell restored to ${line(e.checkpoint ?? '?', 60)}`],
  cell_undone: ['↺', 'move', (e) => `cell went back to ${line(e.checkpoint ?? '?', 60)}`],
  cell_forked: ['+', 'quiet', (e) => `cell forked from ${line(e.source ?? '?', 60)}`],
  checkpoint_taken: ['✓', 'quiet', (e) => `checkpoint ${line(e.checkpoint ?? '?', 60)} taken`],
  checkpoint_failed: ['✕', 'bad', (e) => `a checkpoint failed: ${because({}, e.why)}`],
  agent_joined: ['+', 'quiet', (e) => `joined as ${line(e.role ?? 'a member', 40)}`],
  agent_left: ['–', 'quiet', () => 'left the cell'],
  agent_started: ['↑', 'move', (e) => `started as pid ${line(e.pid ?? '?', 12)}, ${life(e)}`],
  agent_start_failed: ['✕', 'bad', (e) => `could not be started: ${because({}, e.why)}`],
  agent_ready: ['●', 'good', (e) => `is ready, ${life(e)}`],
  agent_revived: ['●', 'good', (e) => `is back, ${life(e)}, ${span(e.took)} after its start`],
  agent_adopted: ['●', 'good', (e) => `was found running as pid ${line(e.pid ?? '?', 12)}`],
  agent_died: [
    '✕',
    'bad',
    (e) =>
      `died: ${because(DEATHS, e.reason)} ` +
      `(${line(e.exit ?? '?', 40)}, after ${span(e.uptime)})`,
  ],
  agent_exited: ['✓', 'quiet', (e) => `finished its work (${line(e.exit ?? '?', 40)})`],
  agent_stopped: ['■', 'quiet', () => 'is stopped'],
  agent_escalated: ['✕', 'bad', (e) => `is given up: ${because(GIVEN_UP, e.reason)}`],
  agent_stable: ['●', 'good', () => 'is stable; its attempts are whole again'],
  agent_hung: ['✕', 'bad', (e) => `is hung: no beat for ${span(e.beat_age)}`],
  agent_stalled: ['◐', 'warn', () => 'gets nothing done'],
  agent_recovered: ['●', 'good', () => 'is well again'],
  agent_held: ['‖', 'ask', (e) => because(HOLDS, e.hold)],
  agent_released: ['●', 'good', () => 'waits no longer'],
  agent_frozen: ['❄\uFE0E', 'cold', () => 'stands still'],
  agent_thawed: ['●', 'good', () => 'moves again'],
  heartbeat: ['·', 'quiet', (e) => `says: ${line(e.status || 'nothing', 120)}`],
  heartbeat_stale: ['◐', 'warn', (e) => `no beat for ${span(e.beat_age)}`],
  approval_requested: ['?', 'ask', (e) => `may it be revived? (${span(e.expires_in)} to answer)`],
  approval_granted: ['●', 'good', (e) => `${line(e.by || 'a person', 40)} approved the revive`],
  approval_denied: ['✕', 'bad', (e) => `${line(e.by || 'a person', 40)} declined the revive`],
  revive_requested: ['↻', 'move', () => 'a person asked for a revive'],
  limit_reached: ['◐', 'warn', (e) => `reached its limit ${line(e.limit ?? '?', 40)}`],
  network_denied: ['◐', 'warn', (e) => `was refused the network: ${line(e.host ?? '?', 80)}`],
};

const OURS = ['ts', 'event', 'seq', 'cell', 'agent', 'generation', 'role'];

/** Return an event as `{glyph, tone, words}`. */
export function told(event) {
  const known = Object.hasOwn(TABLE, event.event) ? TABLE[event.event] : null;
  if (known) return { glyph: known[0], tone: known[1], words: known[2](event) };
  const more = Object.entries(event)
    .filter(([name, value]) => !OURS.includes(name) && typeof value !== 'object')
    .map(([name, value]) => `${name} ${line(value, 60)}`);
  const words = [line(event.event, 64).replaceAll('_', ' '), ...more].join(', ');
  return { glyph: '·', tone: 'quiet', words: line(words, 240) };
}
