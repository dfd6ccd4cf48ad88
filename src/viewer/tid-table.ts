import { join } from 'node:path';
import type { TableKind } from '../data/tables.js';
import type { Problem } from './api.js';
import { problem, setVersion, wholeFiles } from './run-files.js';
import { TidIndex } from './tid-index.js';

interface Opened<Row extends { tid: number }> {
  readonly version: string;
  /** undefined if no file is intact */
  readonly index: TidIndex<Row> | undefined;
  readonly paths: readonly string[];
  readonly problems: readonly Problem[];
}

/** A data set of a run with one row for each transition. It is indexed on first use and after each change. */
export class TidTable<Row extends { tid: number }> {
  private opened: Promise<Opened<Row>> | undefined;

  /** @param wanted by the end of a file's name */
  constructor(
    private readonly run: string,
    private readonly name: string,
    private readonly kind: TableKind<Row>,
    private readonly wanted: RegExp,
  ) {}

  /** The available rows of some transitions, and what could not be read. */
  async read(tids: readonly number[]): Promise<{ rows: Map<number, Row>; problems: readonly Problem[] }> {
    const { index, problems } = await this.current();
    try {
      return { rows: (await index?.read(tids)) ?? new Map<number, Row>(), problems };
    } catch (error) {
      return { rows: new Map(), problems: [...problems, problem(this.name, error)] };
    }
  }

  /** The intact files, to read all of them. */
  async files(): Promise<{ paths: readonly string[]; problems: readonly Problem[]; version: string }> {
    return this.current();
  }

  private async current(): Promise<Opened<Row>> {
    const version = setVersion(join(this.run, this.name));
    if ((await this.opened)?.version !== version) this.opened = this.open(version);
    return this.opened!;
  }

  private async open(version: string): Promise<Opened<Row>> {
    const { files, problems } = await wholeFiles(this.run, this.name, this.wanted);
    const paths = files.map(({ path }) => path);
    try {
      const index = paths.length === 0 ? undefined : await TidIndex.open(paths, this.kind);
      return { version, index, paths, problems };
    } catch (error) {
      return { version, index: undefined, paths: [], problems: [...problems, problem(this.name, error)] };
    }
  }
}
