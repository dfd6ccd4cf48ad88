import { Option, type Command } from 'commander';
import type { ConvertOptions } from '../../pipelines/checkpoint/convert.js';
import { common, load, print, wholeNumber, work, type Interrupt, type Options } from './command.js';
import { counted } from '../counted.js';
import { UserError } from '../errors.js';
import type { Registry } from '../runner/registry.js';

/** `critiq vlm export` and `critiq vlm import`: fine-tune the VLM with another trainer. */
export function addVlmCommands(vlm: Command, registry: Registry, interrupt: Interrupt): void {
  vlm.enablePositionalOptions();
  common(
    vlm
      .command('export')
      .description('write the fine-tuning data set for LLaVA or LLaMA-Factory')
      .argument('<out>', 'folder to write: new, empty, or from an earlier export'),
    'critiq vlm export tuning --format llamafactory vlm.threshold=30 run=exp7',
  )
    .option('--format <name>', 'llava, llamafactory or both', 'both')
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
      .description('use a fine-tuned model as the VLM of this run; its files are not copied')
      .argument('<folder>', 'folder of the model, with any LoRA adapter merged'),
    'critiq vlm import merged --name critiq-vlm run=exp7',
  )
    .requiredOption('--name <name>', 'its name on the server (vllm serve --served-model-name)')
    .option('--force', 'replace the VLM that `critiq vlm` built')
    .action(async (folder: string, overrides: string[], options: Options & { name: string }) => {
      const { config } = await load(registry, overrides, options);
      const { importVlm } = await import('../../pipelines/vlm/import.js');
      await work(options, interrupt, async (display, signal) => {
        const force = options.force ?? false;
        const reference = await importVlm(folder, options.name, config, { display, signal, force });
        const { name, files, fingerprint } = reference;
        return {
          result: reference,
          lines: [`vlm import: ${name} (${counted(files.length, 'file')}, fingerprint ${fingerprint})`],
        };
      });
    });
}

/** `critiq value export` and `critiq value import`: fine-tune the value model with another trainer. */
export function addValueCommands(value: Command, registry: Registry, interrupt: Interrupt): void {
  value.enablePositionalOptions();
  common(
    value
      .command('export')
      .description('write the labelled steps for LLaMA-Factory, with settings for Qwen2-VL and Qwen2.5-VL')
      .argument('<out>', 'folder to write: new, empty, or from an earlier export'),
    'critiq value export judged value.max_pixels=56000 run=exp7',
  ).action(async (out: string, overrides: string[], options: Options) => {
    const { config } = await load(registry, overrides, options);
    const { describeValueExport, exportValue } = await import('../../pipelines/value/export.js');
    await work(options, interrupt, async (display, signal) => {
      const exported = await exportValue(out, config, { display, signal });
      return { result: exported, lines: describeValueExport(exported) };
    });
  });
  common(
    value
      .command('import')
      .description('use a fine-tuned model as the value model of this run; its files are not copied')
      .argument('<folder>', 'folder of the model, with any LoRA adapter merged'),
    'critiq value import merged --name critiq-value run=exp7',
  )
    .requiredOption('--name <name>', 'its name on the server (vllm serve --served-model-name)')
    .option('--force', 'replace the value model that `critiq value` built')
    .action(async (folder: string, overrides: string[], options: Options & { name: string }) => {
      const { config } = await load(registry, overrides, options);
      const { importVlm } = await import('../../pipelines/vlm/import.js');
      await work(options, interrupt, async (display, signal) => {
        const force = options.force ?? false;
        const reference = await importVlm(folder, options.name, config, { display, signal, force, dataset: 'value' });
        const { name, files, fingerprint } = reference;
        return {
          result: reference,
          lines: [`value import: ${name} (${counted(files.length, 'file')}, fingerprint ${fingerprint})`],
        };
      });
    });
}

/** `critiq checkpoint inspect|convert|greedy`: commands on model folders; they need no run. */
export function addCheckpointCommands(critiq: Command, interrupt: Interrupt): void {
  const checkpoint = critiq.command('checkpoint').description('inspect, convert and try out model checkpoints');
  checkpoint.addHelpText('after', '\nExample:\n  $ critiq checkpoint inspect ~/models/Auto-UI-Base');
  const plain = (name: string, description: string, example: string): Command =>
    checkpoint
      .command(name)
      .description(description)
      .option('--json', 'print the result as JSON to stdout')
      .option('-q, --quiet', 'print only warnings and errors')
      .option('-v, --verbose', 'print more, including stack traces of unexpected errors')
      .addHelpText('after', `\nExample:\n  $ ${example}`);

  plain(
    'inspect',
    'show what a checkpoint is and whether critiq can load it',
    'critiq checkpoint inspect ~/models/Auto-UI-Base --json',
  )
    .argument('<path>', 'checkpoint folder or weight file')
    .action(async (path: string, options: Options) => {
      const { inspectCheckpoint, formatInspection } = await import('../../pipelines/checkpoint/inspect.js');
      const found = await inspectCheckpoint(path);
      print(options.json ? JSON.stringify(found, null, 2) : formatInspection(found));
    });

  plain(
    'convert',
    'rewrite a checkpoint as safetensors for Python and critiq',
    'critiq checkpoint convert data/pocket/policy/digiq policy-for-python --dtype f32',
  )
    .argument('<in>', 'folder to read')
    .argument('<out>', 'folder to create; it must not exist')
    .addOption(
      new Option('--dtype <type>', 'type to store numbers in; default: unchanged').choices(['f32', 'f16', 'bf16']),
    )
    .addOption(new Option('--format <name>', 'format of the weights').choices(['safetensors']).default('safetensors'))
    .addOption(
      new Option(
        '--names <style>',
        'hf: all tensors, as the Python classes name them; critiq: only what critiq reads (of BLIP-2 the vision tower)',
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
    'print greedy actions of an Auto-UI checkpoint as JSON, to compare with PyTorch (docs/checkpoints.md)',
    'critiq checkpoint greedy policy-for-python --max-tokens 64 > greedy.json',
  )
    .argument('<folder>', 'folder of an Auto-UI checkpoint')
    .option('--prompts <file>', 'file with one prompt per line; default: eight prompts of the embedded phone')
    .option('--max-tokens <n>', 'maximum tokens per action; default: max_new_tokens of generation_config.json, or 128')
    .option('--seed <n>', 'seed of the random image vectors', '0')
    .option('--threads <n>', 'number of threads', '2')
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
