import type { Command } from 'commander';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { common, load, print, type Options } from './command.js';
import { UserError } from '../errors.js';
import { packageVersion } from '../package.js';
import type { Registry } from '../runner/registry.js';

interface CompareOptions extends Options {
  html?: string;
}

/** `critiq compare`: runs side by side. */
export function addCompareCommand(critiq: Command, registry: Registry): void {
  const compare = critiq
    .command('compare')
    .description(
      'compare runs, or those of a sweep: settings that differ, paired differences of success rates, curves',
    );
  common(compare, 'critiq compare exp7 exp7-lr --html compare.html')
    .usage('[options] <run or sweep...> [settings...]')
    .option('--html <file>', 'also write the comparison as a page with charts')
    .action(async (words: string[], options: CompareOptions) => {
      // settings are written name=value, which no name of a run can be
      const names = words.filter((word) => !word.includes('='));
      const overrides = words.filter((word) => word.includes('='));
      await compareNamed(registry, names, overrides, options);
    });
}

/** Compares runs and sweeps by their names, and prints the comparison. */
export async function compareNamed(
  registry: Registry,
  names: readonly string[],
  overrides: readonly string[],
  options: CompareOptions,
): Promise<void> {
  const { loaded, config } = await load(registry, overrides, options, { stored: false });
  const { RUN_FILE } = await import('../runner/folders.js');
  const { readSweep } = await import('../runs/sweep/definition.js');
  const { sweepTable, sweepText } = await import('../runs/sweep/table.js');
  const { compareRuns } = await import('../runs/compare.js');
  const { comparisonText } = await import('../runs/compare-text.js');
  const { data } = config;
  const sweeps = new Map(names.map((name) => [name, readSweep(data, name)] as const));
  const runs = names.flatMap((name) => sweeps.get(name)?.members.map(({ run }) => run) ?? [name]);
  const sweep = names.length === 1 ? sweeps.get(names[0]) : undefined;
  if (new Set(runs).size !== runs.length || runs.length < 2)
    throw new UserError(
      `compare: expected a sweep, or two or more runs, got ${names.join(' ') || 'none'}; \`critiq runs\` lists them`,
    );
  const made = sweep ? runs.filter((run) => existsSync(join(data, run, RUN_FILE))) : runs;
  const table = sweep && sweepTable(data, sweep);
  const needed = options.html !== undefined || options.json || !table;
  const comparison = needed && made.length > 0 ? await compareRuns(loaded, data, made) : undefined;
  if (options.html !== undefined && comparison) {
    const { comparisonPage } = await import('../runs/compare-page.js');
    const { writeAtomic } = await import('../data/store/atomic.js');
    await writeAtomic(options.html, comparisonPage(comparison, packageVersion(), table));
  }
  if (options.json) print(JSON.stringify(table ? { ...table, comparison } : comparison, null, 2));
  else {
    print(table ? sweepText(table) : comparisonText(comparison!));
    if (options.html !== undefined) process.stderr.write(`critiq: wrote ${options.html}\n`);
  }
}
