import type { Command } from 'commander';
import { counted } from '../counted.js';
import type { Registry } from '../runner/registry.js';
import { common, load, type Interrupt, type Options, wholeNumber, work } from './command.js';

const DAY_MS = 86_400_000;

/** `critiq restore` and `critiq gc`: the replaced results of a run, in its folder `.trash`. */
export function addTrashCommands(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const restore = critiq
    .command('restore')
    .argument('[entry]', 'the replaced result to bring back; without it, list them');
  common(restore, 'critiq restore 0001-critic run=exp7')
    .description('list the replaced results of a run, or bring one back')
    .action(async (entry: string | undefined, overrides: string[], options: Options) => {
      // `critiq restore run=exp7` lists: settings are written name=value, entries are not
      const [id, settings] = entry?.includes('=') ? [undefined, [entry, ...overrides]] : [entry, overrides];
      const { loaded, config } = await load(registry, settings, options);
      const { Trash } = await import('../runner/trash.js');
      const { underLock, writeRunRecord } = await import('../runner/run.js');
      const { runFolder } = await import('../runner/instance.js');
      await work(options, interrupt, async (display) => {
        const trash = new Trash(runFolder(config));
        if (id === undefined) {
          const listed = trash.list();
          const lines = listed.map(({ id, why, shards, bytes, time }) => {
            const size = `${counted(shards, 'shard')}, ${(bytes / 1e6).toFixed(1)} MB`;
            return `${id}: replaced ${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC (${size}; ${why})`;
          });
          return { result: listed, lines: listed.length === 0 ? ['no replaced results'] : lines };
        }
        const restored = await underLock(config, display, async () => {
          await trash.finish();
          const entry = await trash.restore(id);
          const { withRestored } = await import('../runner/run-settings.js');
          // the next command must not find the result outdated because of the settings of what replaced it
          const { plan } = entry.sets[0];
          const again = plan && withRestored(loaded, config, plan);
          if (again) await writeRunRecord(again, loaded.schema);
          return entry;
        });
        return { result: { restored: restored.id }, lines: [`${restored.instance}: restored from ${restored.id}`] };
      });
    });

  common(
    critiq.command('gc').description('remove the replaced results of a run for good'),
    'critiq gc run=exp7 --older-than 30',
  )
    .option('--older-than <days>', 'only results that were replaced at least this many days ago', '0')
    .option('--spare', 'also what is kept aside: shards beyond a smaller plan, and what trainings would go on from')
    .action(async (overrides: string[], options: Options & { olderThan: string; spare?: boolean }) => {
      const { config } = await load(registry, overrides, options, { stored: false });
      const days = wholeNumber('--older-than', options.olderThan, 0);
      const { Trash } = await import('../runner/trash.js');
      const { underLock } = await import('../runner/run.js');
      const { runFolder } = await import('../runner/instance.js');
      await work(options, interrupt, async (display) => {
        const { removeSpare, spareBytes } = await import('../runner/spare.js');
        const run = runFolder(config);
        const aside = spareBytes(run);
        const removed = await underLock(config, display, async () => {
          if (options.spare) removeSpare(run);
          return new Trash(run).collect(days * DAY_MS, Date.now());
        });
        const bytes = removed.reduce((sum, entry) => sum + entry.bytes, 0);
        const megabytes = (count: number): string => `${(count / 1e6).toFixed(1)} MB`;
        const lines = [`removed ${counted(removed.length, 'replaced result')} (${megabytes(bytes)})`];
        if (aside > 0)
          lines.push(
            options.spare
              ? `removed what was kept aside (${megabytes(aside)})`
              : `left what is kept aside (${megabytes(aside)}): --spare removes it, too`,
          );
        const spare = options.spare ? aside : 0;
        return { result: { removed: removed.map(({ id }) => id), bytes, spare }, lines };
      });
    });
}
