'use strict';

// The API key: where it is kept, and whether the server takes it. Anything that
// runs on this page could read it, which is why nothing of another host may.
window.holonKey = (() => {
  const NAME = 'holon.key';
  const graphqlPath = document.querySelector('meta[name=graphql-path]').content;
  const field = document.getElementById('key');
  const remember = document.getElementById('remember');
  const output = document.getElementById('key-state');
  const listeners = [];
  let key = localStorage.getItem(NAME) ?? sessionStorage.getItem(NAME) ?? '';
  let accepted = false;

  function show(state, text) {
    output.dataset.state = state;
    output.textContent = text;
  }

  function keep() {
    localStorage.removeItem(NAME);
    sessionStorage.removeItem(NAME);
    if (key) (remember.checked ? localStorage : sessionStorage).setItem(NAME, key);
  }

  // ask tells in words what the server says to the key.
  async function ask() {
    if (!key) return ['none', 'no key yet'];
    try {
      const response = await fetch(graphqlPath, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${key}` },
        body: '{"query":"{__typename}"}',
      });
      if (response.ok) return ['accepted', 'key accepted'];
      if (response.status === 401) return ['refused', 'the server does not know this key'];
      if (response.status === 403) return ['refused', 'this key may not use GraphQL'];
      return ['unknown', `the server answers ${response.status}, try again`];
    } catch {
      return ['unknown', 'the server does not answer'];
    }
  }

  async function check() {
    show('checking', 'checking…');
    const asked = key;
    const [state, text] = await ask();
    if (asked !== key) return; // another key was entered meanwhile
    show(state, text);
    accepted = state === 'accepted';
    for (const listener of listeners) listener();
  }

  field.value = key;
  remember.checked = localStorage.getItem(NAME) !== null;
  remember.addEventListener('change', keep);
  document.getElementById('key-form').addEventListener('submit', (event) => {
    event.preventDefault();
    key = field.value.trim().replace(/^Bearer\s+/i, '');
    keep();
    check();
  });

  return {
    graphqlPath,
    check,
    accepted: () => accepted,
    authorization: () => (key ? { Authorization: `Bearer ${key}` } : {}),
    onChecked: (listener) => listeners.push(listener),
  };
})();
