/** Chunks of this many bytes or more are looked up character by character. */
const LONGEST = 6;

const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

/**
 * SentencePiece's character normalisation table (NFKC and a few more rules) from a tokenizer.json: a length, a double-array
 * trie over UTF-8 bytes (Darts-clone's layout), and the replacements, each with a zero byte at its end. The
 * `@huggingface/tokenizers` package uses JavaScript's NFKC instead, which follows a newer Unicode version and treats
 * joiners, combining marks and the like differently. This class reads the table and keeps the quirks of Python's
 * `tokenizers`.
 */
export class Charsmap {
  /** whether the table leaves printable ASCII unchanged, as all tables in use do */
  private readonly plainAscii: boolean;
  private readonly segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

  private constructor(
    private readonly trie: Uint32Array,
    private readonly replacements: Buffer,
  ) {
    this.plainAscii = PRINTABLE.every((character) => this.replacement(character) === undefined);
  }

  /** @throws Error if the table is damaged */
  static parse(base64: string): Charsmap {
    const bytes = Buffer.from(base64, 'base64');
    const size = bytes.length < 4 ? -1 : bytes.readUInt32LE(0);
    if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length) {
      throw new Error(
        `precompiled_charsmap: expected a trie within its ${bytes.length} bytes, got a trie of ${size} bytes`,
      );
    }
    const trie = new Uint32Array(size / 4);
    trie.forEach((_, i) => (trie[i] = bytes.readUInt32LE(4 + 4 * i)));
    return new Charsmap(trie, bytes.subarray(4 + size));
  }

  normalize(text: string): string {
    if (this.plainAscii && /^[ -~]*$/.test(text)) return text;
    let out = '';
    for (const { segment } of this.segmenter.segment(text)) {
      const whole = Buffer.byteLength(segment) < LONGEST ? this.replacement(segment) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of segment) out += this.replacement(character) ?? character;
    }
    return out;
  }

  /** A chunk's replacement. As in Python, it is that of the shortest known prefix, and the rest of the chunk is dropped. */
  private replacement(chunk: string): string | undefined {
    let node = offset(this.trie[0]);
    for (const byte of Buffer.from(chunk)) {
      node ^= byte;
      const unit = this.trie[node];
      if (byte === 0 || unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return undefined;
      node ^= offset(unit);
      if (unit & 0x100) return this.text(this.trie[node] & 0x7fffffff);
    }
    return undefined;
  }

  private text(start: number): string {
    const end = this.replacements.indexOf(0, start);
    return this.replacements.toString('utf8', start, end < 0 ? this.replacements.length : end);
  }
}

/** Offset of a unit's children, relative to the unit. */
function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
