import type { Command } from 'commander';
import { print } from './command.js';
import { printable } from '../errors.js';
import type { Registry } from '../runner/registry.js';

/** `critiq import config FILE`: a settings file of the reference code, in critiq's settings. */
export function addImportConfigCommand(importing: Command, registry: Registry): void {
  importing
    .command('config')
    .argument('<file>', 'settings file of DigiRL, Digi-Q or CoSo (scripts/config/main/*.yaml)')
    .description("print what a settings file of the reference code means in critiq's settings, as a settings file")
    .option('--json', 'print the translation as JSON')
    .addHelpText('after', '\nExample:\n  $ critiq import config digirl_off2on.yaml > mine.yaml')
    .action(async (file: string, options: { json?: boolean }) => {
      const { loadRegistry } = await import('../runner/registry.js');
      const { describeImportedConfig, importConfig } = await import('../../pipelines/commands/import-config.js');
      const imported = importConfig(file, (await loadRegistry(registry)).schema);
      if (options.json) {
        print(JSON.stringify(imported, null, 2));
        return;
      }
      print(imported.yaml.trimEnd());
      // beside the file, so that `> mine.yaml` gets the settings alone
      for (const line of describeImportedConfig(imported)) process.stderr.write(`${printable(line)}\n`);
    });
}
