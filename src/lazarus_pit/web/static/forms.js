// What forms have in common: the button that opens one, and choices.

import { button, h } from './dom.js';
import { line } from './words.js';

/** The roles of members, the usual one first. */
export const ROLES = ['developer', 'reviewer', 'observer', 'coordinator'];

/**
 * Return a form named `name`, shut, and the button that opens and shuts it, which nobody sees before
 * `offer`: `{node, opener, shut()}`.
 *
 * `first` gets the keyboard when it opens; `send()` does what it is for. Only one is sent at a time.
 */
export function form(name, text, { first, send, yes }, ...children) {
  const submit = h('button', { type: 'submit', class: 'main' }, yes);
  const attributes = { class: 'form', id: `form-${name}`, 'data-form': name, hidden: true };
  const node = h('form', attributes, ...children, submit);
  const opener = button(text, () => {
    open(!node.hidden);
    if (!node.hidden) first.focus();
  }, { hidden: true, 'aria-expanded': 'false', 'aria-controls': node.id, 'data-opens': name });
  const open = (isShut) => {
    node.hidden = isShut;
    opener.setAttribute('aria-expanded', String(!isShut));
  };
  node.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (submit.getAttribute('aria-disabled') === 'true') return;
    submit.setAttribute('aria-disabled', 'true');
    try {
      await send();
    } finally {
      submit.removeAttribute('aria-disabled');
    }
  });
  node.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return;
    open(true);
    opener.focus();
  });
  return { node, opener, shut: () => open(true) };
}

/** Show the button of a form only to who may use it; a form that is open then shuts. */
export function offer({ opener, shut }, isOffered) {
  opener.hidden = !isOffered;
  if (!isOffered) shut();
}

/** Return a choice of these values; `words` says how some of them are called. */
export function choice(name, values, words = {}) {
  const node = h('select', { name });
  choices(node, values, words);
  return node;
}

/** Have a choice offer these values; what was chosen stays chosen where it is still there. */
export function choices(select, values, words = {}) {
  const before = [...select.options].map((one) => one.value);
  if (JSON.stringify(before) === JSON.stringify(values)) return;
  const chosen = select.value;
  const called = (value) => (Object.hasOwn(words, value) ? words[value] : line(value, 80));
  select.replaceChildren(...values.map((value) => h('option', { value }, called(value))));
  if (values.includes(chosen)) select.value = chosen;
}
