'use strict';

(() => {
  const { createElement: h, useEffect, useState } = React;
  const { useEditorContext } = GraphiQL.React;
  const key = window.holonKey;

  const endpoint = new URL(key.graphqlPath, location.href);
  const socket = new URL(endpoint);
  socket.protocol = endpoint.protocol === 'https:' ? 'wss:' : 'ws:';
  const fetcher = GraphiQL.createFetcher({
    url: endpoint.href,
    enableIncrementalDelivery: false,
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...key.authorization() } }),
    wsClient: graphqlWs.createClient({
      url: socket.href,
      connectionParams: () => key.authorization(), // asked at each connection, so the key that counts then
      shouldRetry: (event) => event.code !== undefined && event.code !== 4403, // 4403: this key will not do
    }),
  });

  const loading = fetch('/graphiql/examples.json').then((response) => response.json());

  // Examples lists the queries that Holon ships. One that is clicked fills a new
  // tab; running it is left to the reader.
  function Examples() {
    const editor = useEditorContext({ nonNull: true });
    const [examples, setExamples] = useState([]);
    const [wanted, setWanted] = useState(null);

    useEffect(() => {
      loading.then(setExamples);
    }, []);

    // The new tab's editors are empty until React has rendered it, and what is
    // set earlier goes to the tab before.
    useEffect(() => {
      if (!wanted || wanted.tab !== editor.activeTabIndex) return;
      editor.queryEditor?.setValue(wanted.query);
      editor.variableEditor?.setValue(wanted.variables);
      setWanted(null);
    }, [wanted, editor]);

    const open = (example) => {
      setWanted({ ...example, tab: editor.tabs.length });
      editor.addTab();
    };
    return h('section', { className: 'examples', 'aria-label': 'Examples' },
      h('h2', null, 'Examples'),
      h('p', null, 'A click opens one in a new tab. Run it with the button or Ctrl-Enter.'),
      examples.map((example) => h('button', { key: example.name, type: 'button', onClick: () => open(example) }, example.title)));
  }

  const plugins = [{
    title: 'Examples',
    icon: () => h('svg', { viewBox: '0 0 24 24', width: '1em', height: '1em', fill: 'none', stroke: 'currentColor', strokeWidth: 1.8, strokeLinecap: 'round' },
      h('path', { d: 'M8 6h12M8 12h12M8 18h12' }),
      [6, 12, 18].map((y) => h('circle', { key: y, cx: 4, cy: y, r: 0.8, fill: 'currentColor' }))),
    content: Examples,
  }];

  // The schema is the same for every key, so it is asked for once there is one
  // that the server takes.
  function Page() {
    const [accepted, setAccepted] = useState(false);
    useEffect(() => {
      key.onChecked(() => setAccepted(key.accepted()));
      key.check();
    }, []);
    return h(GraphiQL, {
      fetcher,
      plugins,
      schema: accepted ? undefined : null, // null: do not ask yet
      isHeadersEditorEnabled: false, // the bar above is the place for the key
      defaultEditorToolsVisibility: 'variables',
      defaultQuery: '# Ctrl-Space completes\n# Ctrl-Enter runs\n# documentation: the book on the left\n{\n  __typename\n}\n',
    });
  }

  // The examples are open for who comes for the first time. GraphiQL's own
  // property for that leaves the pane folded, its button does not; the button is
  // there some frames after the first rendering.
  function showExamples() {
    const button = document.querySelector('button[aria-label="Show Examples"]');
    if (button) button.click();
    else requestAnimationFrame(showExamples);
  }
  if (localStorage.getItem('graphiql:visiblePlugin') === null) requestAnimationFrame(showExamples);

  ReactDOM.createRoot(document.getElementById('graphiql')).render(h(Page));
})();
