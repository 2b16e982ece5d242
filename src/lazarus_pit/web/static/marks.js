// How a line of the journal looks: the API says the sentence, this the glyph and the tone.

const DEATH = ['✕', 'bad'];
const DOUBT = ['◐', 'warn'];
const WELL = ['●', 'good'];
const COLD = ['❄\uFE0E', 'cold'];
const DONE = ['✓', 'quiet'];
const MOVE = ['↻', 'move'];
const NEW = ['+', 'quiet'];
const OTHER = ['·', 'quiet'];

const TABLE = {
  cell_created: NEW,
  cell_frozen: COLD,
  cell_thawed: WELL,
  cell_archived: DONE,
  cell_restored: ['↺', 'move'],
  cell_undone: ['↺', 'move'],
  cell_forked: NEW,
  checkpoint_taken: DONE,
  checkpoint_failed: DEATH,
  agent_invited: NEW,
  agent_joined: NEW,
  agent_left: ['–', 'quiet'],
  agent_started: ['↑', 'move'],
  agent_start_failed: DEATH,
  agent_ready: WELL,
  agent_revived: WELL,
  agent_adopted: WELL,
  agent_died: DEATH,
  agent_exited: DONE,
  agent_stopped: ['■', 'quiet'],
  agent_escalated: DEATH,
  agent_stable: WELL,
  agent_hung: DEATH,
  agent_stalled: DOUBT,
  agent_recovered: WELL,
  agent_held: ['‖', 'ask'],
  agent_released: WELL,
  agent_frozen: COLD,
  agent_thawed: WELL,
  heartbeat_stale: DOUBT,
  approval_requested: ['?', 'ask'],
  approval_granted: WELL,
  approval_denied: DEATH,
  approval_expired: DOUBT,
  agent_ordered: MOVE,
  revive_requested: MOVE,
  limit_reached: DOUBT,
  network_denied: DOUBT,
  messages_delivered: ['✉\uFE0E', 'quiet'],
  message_refused: DOUBT,
};

/** Return the glyph and the tone of an event. */
export function markOf(event) {
  const [glyph, tone] = Object.hasOwn(TABLE, event.event) ? TABLE[event.event] : OTHER;
  return { glyph, tone };
}

/** Return what the API says of an event, without the agent's name where that stands before it. */
export function wordsOf(event) {
  const said = String(event.sentence ?? event.event);
  const who = [`${event.agent}: `, `${event.agent} `].find((start) => said.startsWith(start));
  return event.agent && who ? said.slice(who.length) : said;
}
