// Elements from plain values. Whatever an agent said enters the page as text and in no other way:
// the browser itself refuses everything else (Trusted Types).

const SVG = 'http://www.w3.org/2000/svg';

/** Return an element with attributes and children; `null` and `false` leave a thing out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for the elements of a picture. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) attribute(node, name, value);
  node.append(...children.filter((child) => child !== null && child !== false));
  return node;
}

/** Set an attribute if it differs; `null` and `false` take it away. */
export function attribute(node, name, value) {
  if (value === null || value === false || value === undefined) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value === true ? '' : value);
  }
}

/** Set an element's text if it differs, so that a selection in it survives. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Return a button that runs `press` and cannot be pressed again before that has ended. */
export function button(text, press, attributes = {}) {
  const node = h('button', { type: 'button', ...attributes }, text);
  node.addEventListener('click', async () => {
    if (node.getAttribute('aria-disabled') === 'true') return;
    node.setAttribute('aria-disabled', 'true');
    try {
      await press(node);
    } finally {
      node.removeAttribute('aria-disabled');
    }
  });
  return node;
}

/**
 * Keep a list's children in step with items, touching only what differs.
 *
 * `make(item)` returns `{node, update(item)}`. While `held()` is true nothing changes its place
 * under the hand that holds it, and what is gone stays where it was but cannot be pressed.
 */
export function keyed(parent, key, make, held = () => false) {
  const parts = new Map();
  return function show(items) {
    const wanted = new Set(items.map(key));
    const fixed = held();
    for (const [name, part] of parts) {
      const isGone = !wanted.has(name);
      if (isGone && part.node.contains(document.activeElement)) refocus(parent);
      part.node.inert = isGone;
      part.node.classList.toggle('gone', isGone);
      if (isGone && !fixed) {
        part.node.remove();
        parts.delete(name);
      }
    }
    let cursor = parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      const known = parts.get(name);
      const part = known ?? make(item);
      parts.set(name, part);
      if (part.item !== item) {
        part.item = item;
        part.update(item);
      }
      if (fixed) {
        if (!known) parent.append(part.node);
      } else {
        cursor = placed(parent, part.node, cursor);
      }
    }
  };
}

/** Keep the place of somebody at the keyboard: at the heading above what went away. */
function refocus(parent) {
  parent.closest('section')?.querySelector('[tabindex="-1"]')?.focus();
}

function placed(parent, node, cursor) {
  if (node === cursor) return cursor.nextElementSibling;
  if (cursor && cursor.nextElementSibling === node) {
    moved(parent, cursor, null); // One that sinks costs one move, not one of each that it passes.
    return node.nextElementSibling;
  }
  moved(parent, node, cursor);
  return cursor;
}

function moved(parent, node, before) {
  // moveBefore keeps focus; it takes only what is in the page already.
  if (parent.moveBefore && node.isConnected && parent.isConnected) parent.moveBefore(node, before);
  else parent.insertBefore(node, before);
}

const IDLE_MS = 60_000; // A mouse that was left lying there is nobody's hand.
let usesMouse = false; // A finger hovers nowhere, though `:hover` stays where it last was.
let touched = 0;
for (const type of ['pointermove', 'pointerdown', 'keydown']) {
  document.addEventListener(type, (event) => {
    if (type !== 'keydown') usesMouse = event.pointerType === 'mouse';
    touched = performance.now();
  });
}

/** Whether somebody is about to press something in an element. */
export function isInUse(node) {
  if (performance.now() - touched > IDLE_MS) return false;
  return (usesMouse && node.matches(':hover')) || node.matches(':focus-within');
}
