/** Messages of the ADB protocol (Android's packages/modules/adb/protocol.txt): a header of 24 bytes and a payload. */

export type AdbCommand = 'CNXN' | 'OPEN' | 'OKAY' | 'WRTE' | 'CLSE' | 'AUTH' | 'SYNC';

export interface AdbMessage {
  readonly command: AdbCommand;
  readonly arg0: number;
  readonly arg1: number;
  readonly payload: Buffer;
}

/** Version 1 of the protocol, in which every payload has a checksum. */
export const VERSION = 0x01000000;
/** Largest payload of a message. */
export const MAX_PAYLOAD = 256 * 1024;
const HEADER = 24;

/** Encodes a message. */
export function encodeMessage(command: AdbCommand, arg0: number, arg1: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload);
  const message = Buffer.alloc(HEADER + bytes.length);
  message.write(command, 0, 'latin1');
  message.writeUInt32LE(arg0 >>> 0, 4);
  message.writeUInt32LE(arg1 >>> 0, 8);
  message.writeUInt32LE(bytes.length, 12);
  message.writeUInt32LE(checksum(bytes), 16);
  // the "magic": the command with all bits inverted
  message.writeUInt32LE(~message.readUInt32LE(0) >>> 0, 20);
  bytes.copy(message, HEADER);
  return message;
}

/** Reads messages from a connection's bytes, however they are split. */
export class MessageReader {
  private chunks: Buffer[] = [];
  private length = 0;

  /**
   * @returns the messages that are complete now
   * @throws Error if the bytes do not follow the protocol
   */
  push(chunk: Buffer): AdbMessage[] {
    this.chunks.push(chunk);
    this.length += chunk.length;
    if (this.length < HEADER) return [];
    let bytes = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks);
    const messages: AdbMessage[] = [];
    while (bytes.length >= HEADER) {
      const size = bytes.readUInt32LE(12);
      if (~bytes.readUInt32LE(0) >>> 0 !== bytes.readUInt32LE(20)) throw new Error('adb: invalid message: bad magic');
      if (size > MAX_PAYLOAD) throw new Error(`adb: a payload of ${size} bytes, expected at most ${MAX_PAYLOAD}`);
      if (bytes.length < HEADER + size) break;
      messages.push({
        command: bytes.toString('latin1', 0, 4) as AdbCommand,
        arg0: bytes.readUInt32LE(4),
        arg1: bytes.readUInt32LE(8),
        payload: Buffer.from(bytes.subarray(HEADER, HEADER + size)),
      });
      bytes = bytes.subarray(HEADER + size);
    }
    this.chunks = [bytes];
    this.length = bytes.length;
    return messages;
  }
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum + byte) >>> 0;
  return sum;
}
