import { Option, type Command } from 'commander';
import type { ConvertOptions } from '../../pipelines/checkpoint/convert.js';
import { common, load, print, wholeNumber, work, type Interrupt, type Options } from './command.js';
import { UserError } from '../errors.js';
import type { Registry } from '../runner/registry.js';

/** The commands that are about models of others. */

/** `critiq vlm export` and `critiq vlm import`: the fine-tuning done elsewhere. */
export function addVlmCommands(vlm: Command, registry: Registry, interrupt: Interrupt): void {
  vlm.enablePositionalOptions();
  common(
    vlm
      .command('export')
      .description('write the data set of the fine-tuning for LLaVA or LLaMA-Factory')
      .argument('<out>', 'a new folder'),
    'critiq vlm export tuning --format llamafactory vlm.threshold=30 run=exp7',
  )
    .option('--format <name>', 'llava, llamafactory, or both', 'both')
    .action(async (out: string, overrides: string[], options: Options & { format: string }) => {
      const { config } = await load(registry, overrides, options);
      const { describeExport, exportVlm, VLM_FORMATS } = await import('../../pipelines/vlm/export.js');
      const format = VLM_FORMATS.find((name) => name === options.format);
      if (!format) throw new UserError(`--format: expected ${VLM_FORMATS.join(' or ')}, got ${options.format}`);
      await work(options, interrupt, async (display, signal) => {
        const exported = await exportVlm(out, format, config, { display, signal });
        return { result: exported, lines: describeExport(exported) };
      });
    });
  common(
    vlm
      .command('import')
      .description('make a tuned model the VLM of this run; it stays where it is')
      .argument('<folder>', 'the merged model'),
    'critiq vlm import merged --name critiq-vlm run=exp7',
  )
    .requiredOption('--name <name>', 'name under which the server has it (vllm serve --served-model-name)')
    .option('--force', 'replace what `critiq vlm` made')
    .action(async (folder: string, overrides: string[], options: Options & { name: string }) => {
      const { config } = await load(registry, overrides, options);
      const { importVlm } = await import('../../pipelines/vlm/import.js');
      await work(options, interrupt, async (display, signal) => {
        const force = options.force ?? false;
        const reference = await importVlm(folder, options.name, config, { display, signal, force });
        const { name, files, fingerprint } = reference;
        return {
          result: reference,
          lines: [`vlm import: ${name} (${files.length} files, fingerprint ${fingerprint})`],
        };
      });
    });
}

/** `critiq checkpoint inspect|convert|greedy`: folders of models, without a run. */
export function addCheckpointCommands(critiq: Command, interrupt: Interrupt): void {
  const checkpoint = critiq.command('checkpoint').description('look at, convert and try out folders of models');
  checkpoint.addHelpText('after', '\nExample:\n  $ critiq checkpoint inspect ~/models/Auto-UI-Base');
  const plain = (name: string, description: string, example: string): Command =>
    checkpoint
      .command(name)
      .description(description)
      .option('--json', 'print the result as JSON on stdout')
      .option('-q, --quiet', 'print only warnings and errors')
      .option('-v, --verbose', 'print more, and the stack of unexpected errors')
      .addHelpText('after', `\nExample:\n  $ ${example}`);

  plain(
    'inspect',
    'what a checkpoint is, and whether critiq can load it',
    'critiq checkpoint inspect ~/models/Auto-UI-Base --json',
  )
    .argument('<path>', 'a folder, or a weight file')
    .action(async (path: string, options: Options) => {
      const { inspectCheckpoint, formatInspection } = await import('../../pipelines/checkpoint/inspect.js');
      const found = await inspectCheckpoint(path);
      print(options.json ? JSON.stringify(found, null, 2) : formatInspection(found));
    });

  plain(
    'convert',
    'write a checkpoint anew as safetensors that Python and critiq read',
    'critiq checkpoint convert data/pocket/policy/digiq policy-for-python --dtype f32',
  )
    .argument('<in>', 'the folder to read')
    .argument('<out>', 'the folder to make; it must not be there yet')
    .addOption(
      new Option('--dtype <type>', 'how numbers are stored; as they are by default').choices(['f32', 'f16', 'bf16']),
    )
    .addOption(new Option('--format <name>', 'format of the weights').choices(['safetensors']).default('safetensors'))
    .addOption(
      new Option(
        '--names <whose>',
        "hf: what Python's classes load; critiq: just what critiq reads (of a BLIP-2 its vision tower)",
      )
        .choices(['hf', 'critiq'])
        .default('hf'),
    )
    .action(async (from: string, to: string, options: Options & ConvertOptions) => {
      const { convertCheckpoint } = await import('../../pipelines/checkpoint/convert.js');
      await work(options, interrupt, async () => {
        const made = await convertCheckpoint(from, to, options);
        return {
          result: made,
          lines: [`${made.folder}: done (${made.kind}, ${made.tensors} tensors, ${made.dtypes})`],
        };
      });
    });

  plain(
    'greedy',
    'greedy actions of an Auto-UI checkpoint as JSON, to compare with PyTorch (docs/checkpoints.md)',
    'critiq checkpoint greedy policy-for-python --max-tokens 64 > greedy.json',
  )
    .argument('<folder>', 'an Auto-UI checkpoint')
    .option('--prompts <file>', 'a prompt a line; by default eight of the embedded phone')
    .option('--max-tokens <n>', 'tokens of an action at most; by default what generation_config.json says, or 128')
    .option('--seed <n>', 'decides the image vectors', '0')
    .option('--threads <n>', 'threads to compute with', '2')
    .action(
      async (
        folder: string,
        options: Record<'seed' | 'threads', string> & { prompts?: string; maxTokens?: string },
      ) => {
        const { greedyActions } = await import('../../pipelines/checkpoint/greedy.js');
        const { prompts, maxTokens, seed, threads } = options;
        const said = await greedyActions(folder, {
          prompts,
          seed: wholeNumber('--seed', seed, 0),
          threads: wholeNumber('--threads', threads, 1),
          maxTokens: maxTokens === undefined ? undefined : wholeNumber('--max-tokens', maxTokens, 1),
        });
        print(JSON.stringify(said));
      },
    );
}
