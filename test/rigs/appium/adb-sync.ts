import type { Stream } from './adbd.js';

/** A message of the sync service: four letters and a number (Android's packages/modules/adb/SYNC.TXT). */
function message(id: string, value: number, data: Buffer | string = ''): Buffer {
  const head = Buffer.alloc(8);
  head.write(id, 0, 'latin1');
  head.writeUInt32LE(value, 4);
  return Buffer.concat([head, Buffer.from(data)]);
}

const CHUNK = 64 * 1024;
/** Largest accepted name or piece, in bytes. */
const LARGEST = 1 << 20;
/** Mode of a plain file that everybody may read, as in stat(2). */
const FILE_MODE = 0o100644;

/** Serves `adb push`, `adb pull` and the stat before them, on a device's files. */
export function serveSync(stream: Stream, files: Map<string, Buffer>): void {
  let bytes = Buffer.alloc(0);
  let sending: { path: string; pieces: Buffer[] } | undefined;
  const fail = (text: string) => stream.write(message('FAIL', Buffer.byteLength(text), text));

  const take = (id: string, value: number, data: Buffer): void => {
    const path = data.toString('utf8');
    switch (id) {
      case 'STAT': {
        const file = files.get(path);
        const stat = Buffer.alloc(8);
        stat.writeUInt32LE(file?.length ?? 0, 0);
        return stream.write(message('STAT', file ? FILE_MODE : 0, stat));
      }
      case 'SEND':
        sending = { path: path.replace(/,\d+$/, ''), pieces: [] };
        return;
      case 'DATA':
        sending?.pieces.push(Buffer.from(data));
        return;
      case 'DONE':
        if (!sending) return fail('DONE without SEND');
        files.set(sending.path, Buffer.concat(sending.pieces));
        sending = undefined;
        return stream.write(message('OKAY', 0));
      case 'RECV': {
        const file = files.get(path);
        if (!file) return fail(`remote object '${path}' does not exist`);
        for (let at = 0; at < file.length; at += CHUNK) {
          const piece = file.subarray(at, at + CHUNK);
          stream.write(message('DATA', piece.length, piece));
        }
        return stream.write(message('DONE', 0));
      }
      case 'LIST':
        return stream.write(Buffer.concat([message('DONE', 0), Buffer.alloc(12)]));
      case 'QUIT':
        return stream.end();
      default:
        fail(`unknown sync message ${JSON.stringify(id)} ${value}`);
        return stream.end();
    }
  };

  stream.onData((chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 8) {
      const id = bytes.toString('latin1', 0, 4);
      const value = bytes.readUInt32LE(4);
      // DONE's number is a time and QUIT's has no meaning; all others have the length of the data that follows
      const length = id === 'DONE' || id === 'QUIT' ? 0 : value;
      if (length > LARGEST) return stream.end();
      if (bytes.length < 8 + length) return;
      const data = bytes.subarray(8, 8 + length);
      bytes = bytes.subarray(8 + length);
      take(id, value, data);
    }
  });
}
