import type { Command } from 'commander';
import { common, load, work, type Interrupt, type Options } from './command.js';
import { UserError } from '../errors.js';
import type { Registry } from '../runner/registry.js';

/** `critiq judge`: how often the VLM judge agrees with known verdicts. */
export function addJudgeCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const command = critiq
    .command('judge')
    .description(
      'measure how often the VLM judge (judge.*) agrees with a labelled set, or with the exact rewards of a run',
    )
    .argument(
      '[labelled]',
      'JSON Lines file: image, task, label, optionally previous (docs/judges.md); not with --run',
    );
  common(command, 'critiq judge set/labelled.jsonl judge.kind=openai judge.model=qwen2.5-vl --json')
    .option('--run <name>', 'compare with the rewards of this run on the embedded phone')
    .action(async (labelled: string | undefined, rest: string[], options: Options & { run?: string }) => {
      // with --run there is no labelled set: the first argument is a setting
      const overrides = options.run !== undefined && labelled !== undefined ? [labelled, ...rest] : rest;
      if (options.run === undefined && (labelled === undefined || labelled.includes('=')))
        throw new UserError('judge: expected a labelled set or --run NAME; see critiq judge --help');
      const run = options.run === undefined ? [] : [`run=${options.run}`];
      const { config } = await load(registry, [...overrides, ...run], options);
      const { describeQuality, judgeQuality } = await import('../../pipelines/episodes/judge-quality.js');
      const what = options.run === undefined ? { set: labelled! } : { run: options.run };
      await work(options, interrupt, async (display, signal) => {
        const quality = await judgeQuality(what, config, { display, signal });
        return { result: quality, lines: describeQuality(quality) };
      });
    });
}
