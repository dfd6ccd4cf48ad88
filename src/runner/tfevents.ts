import { crc32c } from '@node-rs/crc32';
import protobuf from 'protobufjs/minimal.js';

/**
 * TensorBoard event files with scalars. A record is length (uint64 LE), masked CRC-32C of the length, the bytes of an
 * `Event` message, masked CRC-32C of these bytes (tensorflow/core/lib/io/record_writer.cc).
 */
export interface Scalars {
  readonly step: number;
  readonly values: Readonly<Record<string, number>>;
  /** when they were measured, in seconds since 1970 */
  readonly wallTime: number;
}

/** The first record of every file. @param wallTime seconds since 1970 */
export function versionRecord(wallTime: number): Uint8Array {
  // Event { double wall_time = 1; string file_version = 3; }
  return frame(protobuf.Writer.create().uint32(9).double(wallTime).uint32(26).string('brain.Event:2').finish());
}

/** The scalars of one step as a record. */
export function scalarsRecord({ step, values, wallTime }: Scalars): Uint8Array {
  // Event { double wall_time = 1; int64 step = 2; Summary summary = 5; }  Summary { repeated Value value = 1; }
  // Value { string tag = 1; float simple_value = 2; }   (tensorflow/core/framework/summary.proto)
  const event = protobuf.Writer.create().uint32(9).double(wallTime).uint32(16).int64(step).uint32(42).fork();
  for (const [tag, value] of Object.entries(values)) {
    event.uint32(10).fork().uint32(10).string(tag).uint32(21).float(value).ldelim();
  }
  return frame(event.ldelim().finish());
}

/** Steps and wall times of the scalar records of a file, in order. An incomplete or damaged record ends the list. */
export function recordTimes(bytes: Buffer): Pick<Scalars, 'step' | 'wallTime'>[] {
  const out: Pick<Scalars, 'step' | 'wallTime'>[] = [];
  for (let at = 0; at + 16 <= bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    if (at + 16 + length > bytes.length || masked(data) !== bytes.readUInt32LE(at + 12 + length)) break;
    at += 16 + length;
    const reader = protobuf.Reader.create(data);
    let [step, wallTime, scalars] = [0, 0, false];
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 9) wallTime = reader.double();
      else if (tag === 16) step = Number(reader.int64());
      else {
        scalars ||= tag >>> 3 === 5;
        reader.skipType(tag & 7);
      }
    }
    if (scalars) out.push({ step, wallTime });
  }
  return out;
}

function frame(data: Uint8Array): Uint8Array {
  const record = Buffer.alloc(16 + data.length);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(masked(record.subarray(0, 8)), 8);
  record.set(data, 12);
  record.writeUInt32LE(masked(data), 12 + data.length);
  return record;
}

/** CRC-32C, rotated right by 15 bits, plus a constant: a CRC of data that contains CRCs would be weak. */
export function masked(data: Uint8Array): number {
  const crc = crc32c(Buffer.from(data.buffer, data.byteOffset, data.byteLength)) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
