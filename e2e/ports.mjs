// Prints so many free TCP ports on 127.0.0.1, none of those that outgoing
// connections get: one of them could be gone before a program listens there.
import { createServer } from 'node:net';

const first = 10240, last = 32767;

async function take() {
  for (;;) {
    const server = createServer();
    const port = first + Math.floor(Math.random() * (last - first + 1));
    const listening = await new Promise((tell, fail) => {
      server.once('error', (error) => (error.code === 'EADDRINUSE' ? tell(false) : fail(error)));
      server.listen(port, '127.0.0.1', () => tell(true));
    });
    if (listening) return server;
  }
}

const servers = [];
for (let left = Number(process.argv[2] ?? 1); left > 0; left--) servers.push(await take());
console.log(servers.map((server) => server.address().port).join(' '));
for (const server of servers) server.close();
