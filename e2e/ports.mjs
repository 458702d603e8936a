// Prints so many TCP ports on 127.0.0.1 that were free a moment ago.
import { createServer } from 'node:net';

const servers = Array.from({ length: Number(process.argv[2] ?? 1) }, () => createServer());
await Promise.all(servers.map((server) => new Promise((listening) => server.listen(0, '127.0.0.1', listening))));
console.log(servers.map((server) => server.address().port).join(' '));
for (const server of servers) server.close();
