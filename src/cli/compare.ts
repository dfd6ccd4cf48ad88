import type { Command } from 'commander';
import { common, load, print, type Options } from './command.js';
import { UserError } from '../errors.js';
import { packageVersion } from '../package.js';
import type { Registry } from '../runner/registry.js';

/** `critiq compare`: runs side by side. */
export function addCompareCommand(critiq: Command, registry: Registry): void {
  const compare = critiq
    .command('compare')
    .description('compare runs: settings that differ, success rates with paired differences, learning curves');
  common(compare, 'critiq compare exp7 exp7-lr --html compare.html')
    .usage('[options] <run> <run...> [settings...]')
    .option('--html <file>', 'also write the comparison as a page with charts')
    .action(async (words: string[], options: Options & { html?: string }) => {
      // settings are written name=value, which no name of a run can be
      const [names, overrides] = [
        words.filter((word) => !word.includes('=')),
        words.filter((word) => word.includes('=')),
      ];
      const { loaded, config } = await load(registry, overrides, options);
      const { compareRuns } = await import('../runs/compare.js');
      const { comparisonText } = await import('../runs/compare-text.js');
      if (new Set(names).size !== names.length || names.length < 2)
        throw new UserError(
          `compare: expected two or more runs, got ${names.join(' ') || 'none'}; \`critiq runs\` lists them`,
        );
      const comparison = await compareRuns(loaded, config.data, names);
      if (options.html !== undefined) {
        const { comparisonPage } = await import('../runs/compare-page.js');
        const { writeAtomic } = await import('../data/store/atomic.js');
        await writeAtomic(options.html, comparisonPage(comparison, packageVersion()));
      }
      if (options.json) print(JSON.stringify(comparison, null, 2));
      else {
        print(comparisonText(comparison));
        if (options.html !== undefined) process.stderr.write(`compare: wrote ${options.html}\n`);
      }
    });
}
