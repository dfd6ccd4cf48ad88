import type { Command } from 'commander';
import { common, load, work, type Interrupt, type Options } from './command.js';
import { UserError } from '../errors.js';
import type { Registry } from '../runner/registry.js';

/** `critiq judge`: how far the VLM judge agrees with what is known. */
export function addJudgeCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const command = critiq
    .command('judge')
    .description('measure the judge of judge.* on a labelled set, or on the exact rewards of a run on the phone')
    .argument('[labelled]', 'JSON lines: image, task, label, perhaps previous (docs/judges.md); not with --run');
  common(command, 'critiq judge set/labelled.jsonl judge.kind=openai judge.model=qwen2.5-vl --json')
    .option('--run <name>', 'compare with the rewards of this run, which the embedded phone decided')
    .action(async (labelled: string | undefined, rest: string[], options: Options & { run?: string }) => {
      // the first word is a setting where there is no set
      const overrides = options.run !== undefined && labelled !== undefined ? [labelled, ...rest] : rest;
      if (options.run === undefined && (labelled === undefined || labelled.includes('=')))
        throw new UserError('judge: expected a labelled set, or --run with the name of a run; see critiq judge --help');
      const { config } = await load(registry, overrides, options);
      const { describeQuality, judgeQuality } = await import('../../pipelines/episodes/judge-quality.js');
      const what = options.run === undefined ? { set: labelled! } : { run: options.run };
      await work(options, interrupt, async (display, signal) => {
        const quality = await judgeQuality(what, config, { display, signal });
        return { result: quality, lines: describeQuality(quality) };
      });
    });
}
