import { join } from 'node:path';
import { TOKEN_INFLUENCE, type InfluenceRow } from '../data/online-tables.js';
import { Table } from '../data/tables.js';
import type { Problem, TokenMean, TokenPage } from './api.js';
import { dataSets } from '../data/store/data-sets.js';
import { problem, setVersion, wholeFiles } from './run-files.js';

const FILES = /token-influence[^/]*\.parquet$/;
/** Most tokens to list by mean weight. */
const LISTED = 24;

/** A query for token weights of a run. */
export interface TokenQuery {
  /** the data set of an online run; default: the first with weights */
  readonly set?: string;
  /** default: the last one */
  readonly iteration?: number;
  /** words in the action's text */
  readonly text?: string;
  /** only this action, after every iteration */
  readonly action?: string;
  readonly offset: number;
  readonly limit: number;
}

interface Indexed {
  readonly version: string;
  readonly paths: readonly string[];
  /** iteration of each row, file after file */
  readonly iteration: Int32Array;
  readonly problems: readonly Problem[];
}

/** CoSo's token weights of a run's online data sets. Only the iteration of each row stays in memory. */
export class TokenWeights {
  private readonly sets = new Map<string, Indexed>();

  constructor(private readonly run: string) {}

  async page(query: TokenQuery): Promise<TokenPage> {
    const names: string[] = [];
    const problems: Problem[] = [];
    for (const name of dataSets(this.run).filter((one) => one.startsWith('online'))) {
      const indexed = await this.indexed(name);
      problems.push(...indexed.problems);
      if (indexed.iteration.length > 0) names.push(name);
    }
    const set = names.find((name) => name === query.set) ?? names[0];
    if (set === undefined)
      return { sets: [], set: '', iterations: [], iteration: 0, total: 0, offset: 0, rows: [], top: [], problems };
    const { iteration: of } = this.sets.get(set)!;
    const iterations = [...new Set(of)].sort((a, b) => a - b);
    const iteration = iterations.find((one) => one === query.iteration) ?? iterations.at(-1)!;
    const rows: InfluenceRow[] = [];
    const tokens = new Map<string, { sum: number; count: number }>();
    const words = (query.text ?? '').toLowerCase().split(/\s+/).filter(Boolean);
    let total = 0;
    try {
      for await (const row of this.rows(set, query.action === undefined ? iteration : undefined)) {
        if (
          query.action !== undefined
            ? row.action !== query.action
            : !words.every((word) => row.action.toLowerCase().includes(word))
        )
          continue;
        if (total >= query.offset && rows.length < query.limit) rows.push(row);
        total++;
        for (const [i, token] of row.tokens.entries()) {
          const known = tokens.get(token) ?? { sum: 0, count: 0 };
          tokens.set(token, { sum: known.sum + row.weights[i], count: known.count + 1 });
        }
      }
    } catch (error) {
      problems.push(problem(set, error));
    }
    const top = [...tokens]
      .map(([token, { sum, count }]): TokenMean => ({ token, mean: sum / count, count }))
      .sort((a, b) => b.mean - a.mean || b.count - a.count)
      .slice(0, LISTED);
    return { sets: names, set, iterations, iteration, total, offset: query.offset, rows, top, problems };
  }

  /** The rows of one iteration, or all, in the order of the files. */
  private async *rows(set: string, only: number | undefined): AsyncGenerator<InfluenceRow> {
    const { paths, iteration } = this.sets.get(set)!;
    let before = 0;
    for (const path of paths) {
      const table = await Table.open(path, TOKEN_INFLUENCE);
      try {
        const wanted = (row: number) => only === undefined || iteration[before + row] === only;
        for (let start = 0; start < table.rows;) {
          if (!wanted(start)) start++;
          else {
            let end = start + 1;
            while (end < table.rows && wanted(end)) end++;
            yield* table.stream({ rowStart: start, rowEnd: end });
            start = end;
          }
        }
        before += table.rows;
      } finally {
        table.close();
      }
    }
  }

  private async indexed(name: string): Promise<Indexed> {
    const version = setVersion(join(this.run, name));
    const known = this.sets.get(name);
    if (known?.version === version) return known;
    const { files, problems } = await wholeFiles(this.run, name, FILES);
    const paths = files.map(({ path }) => path);
    const iteration: number[] = [];
    for (const path of paths) {
      const table = await Table.open(path, TOKEN_INFLUENCE);
      try {
        for await (const row of table.stream({ columns: ['iteration'] })) iteration.push(row.iteration);
      } finally {
        table.close();
      }
    }
    const made = { version, paths, iteration: Int32Array.from(iteration), problems };
    this.sets.set(name, made);
    return made;
  }
}
