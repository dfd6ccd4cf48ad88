/** Bytes of a chunk of text above which its characters are looked up one by one. */
const LONGEST = 6;

const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i));

/**
 * SentencePiece's table of how characters are normalised before they are looked up (NFKC and a few more), as it lies in
 * a tokenizer.json: a length, a double-array trie over UTF-8 bytes (Darts-clone's layout), and the replacements, each ended
 * by a zero byte. The `@huggingface/tokenizers` package takes JavaScript's NFKC instead, which is of a newer Unicode and
 * treats joiners, combining marks and the like otherwise; this reads the table, quirks of Python's `tokenizers` included.
 */
export class Charsmap {
  /** whether the table leaves ASCII alone, as all tables in use do */
  private readonly plainAscii: boolean;
  private readonly segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

  private constructor(
    private readonly trie: Uint32Array,
    private readonly replacements: Buffer,
  ) {
    this.plainAscii = PRINTABLE.every((character) => this.replacement(character) === undefined);
  }

  /** @throws Error where the table is damaged */
  static parse(base64: string): Charsmap {
    const bytes = Buffer.from(base64, 'base64');
    const size = bytes.length < 4 ? -1 : bytes.readUInt32LE(0);
    if (size < 4 || size % 4 !== 0 || 4 + size > bytes.length) {
      throw new Error(`precompiled_charsmap of ${bytes.length} bytes: expected a trie in it, got ${size} bytes`);
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

  /** What a chunk becomes: as in Python, what its shortest known beginning does; the rest of the chunk is dropped. */
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

/** Where a unit's children begin, relative to it. */
function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
