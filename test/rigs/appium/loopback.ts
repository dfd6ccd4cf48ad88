import type { AddressInfo, Server } from 'node:net';

/**
 * Lets a server listen on 127.0.0.1, where only this machine reaches it.
 * @param port 0 takes a free one
 * @returns the port
 */
export async function listenOnLoopback(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}
