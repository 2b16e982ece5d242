// One question at a time, with the safe answer first.

const find = (id) => document.getElementById(id);

/**
 * Ask before something is done, and return what was said.
 *
 * `field` asks for a text as well. The answer is `null` for no, else the text (which may be empty).
 */
export function confirmed({ title, text, yes, field = false, danger = true }) {
  const dialog = find('ask');
  const input = find('ask-input');
  find('ask-title').textContent = title;
  find('ask-text').textContent = text;
  find('ask-yes').textContent = yes;
  find('ask-yes').className = danger ? 'danger' : 'main';
  find('ask-field').hidden = !field;
  input.value = '';
  const before = document.activeElement;
  return new Promise((resolve) => {
    const done = new AbortController();
    const end = (answer) => {
      done.abort();
      if (dialog.open) dialog.close();
      before?.focus?.();
      resolve(answer);
    };
    const on = { signal: done.signal };
    find('ask-form').addEventListener('submit', (event) => {
      event.preventDefault();
      end(input.value.trim());
    }, on);
    find('ask-no').addEventListener('click', () => end(null), on);
    dialog.addEventListener('cancel', () => end(null), on); // Escape.
    dialog.showModal();
    (field ? input : find('ask-no')).focus();
  });
}
