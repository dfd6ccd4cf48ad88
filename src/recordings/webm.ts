import { sizeOf, type FilmFrame } from './webp.js';

/**
 * WebM (https://www.webmproject.org/docs/container/, EBML in RFC 8794, Matroska in RFC 9559) for films of VP8 key frames.
 * We have our own writer, since the maintained library is under the MPL and the MIT one is unmaintained (docs/decisions).
 */

/** Milliseconds after which a new cluster starts; seeking goes to the start of a cluster. */
const CLUSTER_MS = 5000;
const UTF8 = 'utf8';

/** Element ids as stored. */
const ID = {
  EBML: 0x1a45dfa3,
  EBMLVersion: 0x4286,
  EBMLReadVersion: 0x42f7,
  EBMLMaxIDLength: 0x42f2,
  EBMLMaxSizeLength: 0x42f3,
  DocType: 0x4282,
  DocTypeVersion: 0x4287,
  DocTypeReadVersion: 0x4285,
  Segment: 0x18538067,
  Info: 0x1549a966,
  TimestampScale: 0x2ad7b1,
  Duration: 0x4489,
  Title: 0x7ba9,
  MuxingApp: 0x4d80,
  WritingApp: 0x5741,
  Tracks: 0x1654ae6b,
  TrackEntry: 0xae,
  TrackNumber: 0xd7,
  TrackUID: 0x73c5,
  TrackType: 0x83,
  FlagLacing: 0x9c,
  CodecID: 0x86,
  Video: 0xe0,
  PixelWidth: 0xb0,
  PixelHeight: 0xba,
  Cues: 0x1c53bb6b,
  CuePoint: 0xbb,
  CueTime: 0xb3,
  CueTrackPositions: 0xb7,
  CueTrack: 0xf7,
  CueClusterPosition: 0xf1,
  Cluster: 0x1f43b675,
  Timestamp: 0xe7,
  BlockGroup: 0xa0,
  Block: 0xa1,
  BlockDuration: 0x9b,
} as const;

/**
 * A seekable WebM video of key frames, each with its own duration.
 * @param frames all of the same size
 * @param title shown by players
 */
export function webm(frames: readonly FilmFrame[], title: string): Buffer {
  const { width, height } = sizeOf(frames);
  const clusters: { at: number; blocks: Buffer[] }[] = [];
  let now = 0;
  for (const { vp8, milliseconds } of frames) {
    let cluster = clusters.at(-1);
    if (!cluster || now - cluster.at >= CLUSTER_MS) {
      cluster = { at: now, blocks: [element(ID.Timestamp, uint(now))] };
      clusters.push(cluster);
    }
    const head = Buffer.alloc(4);
    head[0] = 0x81; // track 1
    head.writeInt16BE(now - cluster.at, 1);
    // a block without a reference to another one is a key frame
    const group = [element(ID.Block, head, vp8), element(ID.BlockDuration, uint(milliseconds))];
    cluster.blocks.push(element(ID.BlockGroup, ...group));
    now += milliseconds;
  }
  const duration = Buffer.alloc(8);
  duration.writeDoubleBE(now);
  const info = element(
    ID.Info,
    element(ID.TimestampScale, uint(1_000_000)),
    element(ID.Duration, duration),
    element(ID.Title, Buffer.from(title, UTF8)),
    element(ID.MuxingApp, Buffer.from('critiq', UTF8)),
    element(ID.WritingApp, Buffer.from('critiq', UTF8)),
  );
  const tracks = element(
    ID.Tracks,
    element(
      ID.TrackEntry,
      element(ID.TrackNumber, uint(1)),
      element(ID.TrackUID, uint(1)),
      element(ID.TrackType, uint(1)),
      element(ID.FlagLacing, uint(0)),
      element(ID.CodecID, Buffer.from('V_VP8', 'latin1')),
      element(ID.Video, element(ID.PixelWidth, uint(width)), element(ID.PixelHeight, uint(height))),
    ),
  );
  const written = clusters.map(({ blocks }) => element(ID.Cluster, ...blocks));
  const cues = (start: number): Buffer => {
    let position = start;
    const points = clusters.map(({ at }, i) => {
      const positions = element(
        ID.CueTrackPositions,
        element(ID.CueTrack, uint(1)),
        element(ID.CueClusterPosition, fixed(position)),
      );
      position += written[i].length;
      return element(ID.CuePoint, element(ID.CueTime, uint(at)), positions);
    });
    return element(ID.Cues, ...points);
  };
  // positions have a fixed length, so the length of the cues does not depend on them
  const start = info.length + tracks.length + cues(0).length;
  return Buffer.concat([header(), element(ID.Segment, info, tracks, cues(start), ...written)]);
}

function header(): Buffer {
  return element(
    ID.EBML,
    element(ID.EBMLVersion, uint(1)),
    element(ID.EBMLReadVersion, uint(1)),
    element(ID.EBMLMaxIDLength, uint(4)),
    element(ID.EBMLMaxSizeLength, uint(8)),
    element(ID.DocType, Buffer.from('webm', 'latin1')),
    element(ID.DocTypeVersion, uint(2)),
    element(ID.DocTypeReadVersion, uint(2)),
  );
}

/** An element: its id, the length of its content in 1 or 8 bytes, and its content. */
function element(id: number, ...held: readonly Uint8Array[]): Buffer {
  const length = held.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return Buffer.concat([uint(id), sizeBytes(length), ...held]);
}

function sizeBytes(length: number): Buffer {
  if (length < 127) return Buffer.from([0x80 | length]);
  const bytes = Buffer.alloc(8);
  bytes.writeUIntBE(length, 2, 6);
  bytes[0] = 0x01;
  return bytes;
}

/** An unsigned number in as few bytes as possible. */
function uint(value: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(value, 0, 6);
  let from = 0;
  while (from < 5 && bytes[from] === 0) from++;
  return bytes.subarray(from);
}

function fixed(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUIntBE(value, 2, 6);
  return bytes;
}
