import { Table, type TableKind } from '../data/tables.js';

/** Finds rows of a table in several files by transition: sorted tids with file and row of each, [rows]. */
export class TidIndex<Row extends { tid: number }> {
  private constructor(
    private readonly files: readonly string[],
    private readonly kind: TableKind<Row>,
    private readonly tids: Float64Array,
    private readonly file: Uint16Array,
    private readonly row: Uint32Array,
  ) {}

  /**
   * Reads only the column of tids.
   * @throws UserError if a file is truncated, foreign or damaged
   */
  static async open<Row extends { tid: number }>(
    files: readonly string[],
    kind: TableKind<Row>,
  ): Promise<TidIndex<Row>> {
    const places: { tid: number; file: number; row: number }[] = [];
    for (const [file, path] of files.entries()) {
      const table = await Table.open(path, kind);
      try {
        let row = 0;
        for await (const { tid } of table.stream({ columns: ['tid'] })) places.push({ tid, file, row: row++ });
      } finally {
        table.close();
      }
    }
    places.sort((a, b) => a.tid - b.tid);
    return new TidIndex(
      files,
      kind,
      Float64Array.from(places, ({ tid }) => tid),
      Uint16Array.from(places, ({ file }) => file),
      Uint32Array.from(places, ({ row }) => row),
    );
  }

  get size(): number {
    return this.tids.length;
  }

  /** The rows of some transitions, by tid, without those that the table lacks. Reads only their row groups. */
  async read(tids: readonly number[]): Promise<Map<number, Row>> {
    const wanted = new Map<number, number[]>();
    for (const tid of tids) {
      const at = this.position(tid);
      if (at < 0) continue;
      const rows = wanted.get(this.file[at]);
      if (rows) rows.push(this.row[at]);
      else wanted.set(this.file[at], [this.row[at]]);
    }
    const found = new Map<number, Row>();
    for (const [file, rows] of wanted) {
      const table = await Table.open(this.files[file], this.kind);
      try {
        for (const [rowStart, rowEnd] of runs(rows)) {
          for (const row of await table.read({ rowStart, rowEnd })) found.set(row.tid, row);
        }
      } finally {
        table.close();
      }
    }
    return found;
  }

  private position(tid: number): number {
    let [low, high] = [0, this.tids.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.tids[middle] === tid) return middle;
      if (this.tids[middle] < tid) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

/** Ranges [start, end) of consecutive numbers. */
function runs(rows: readonly number[]): [start: number, end: number][] {
  const ranges: [number, number][] = [];
  for (const row of [...rows].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] === row) last[1]++;
    else ranges.push([row, row + 1]);
  }
  return ranges;
}
