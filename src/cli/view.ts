import type { Command } from 'commander';
import { once } from 'node:events';
import { common, load, wholeNumber, work, type Interrupt, type Options } from './command.js';
import { UserError } from '../errors.js';
import type { Registry } from '../runner/registry.js';

interface ViewOptions extends Options {
  host: string;
  port: string;
  open: boolean;
  images?: string;
}

/** `critiq view`: a page on what the runs hold, until Ctrl-C. */
export function addViewCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const command = critiq
    .command('view')
    .description('look at trajectories, actions, training, values, tokens and evaluations in a browser')
    .argument('[run]', "a run's name, or its folder; by default the run of the settings");
  common(command, 'critiq view exp7 --port 8701 --no-open')
    .option('--port <n>', 'port; 0 takes a free one', '8701')
    .option('--host <address>', 'listen on this address instead of loopback; the URL then has a token', '127.0.0.1')
    .option('--no-open', 'only print the URL')
    .option('--images <folder>', 'where the screenshots are that an imported data set names')
    .action(async (run: string | undefined, rest: string[], options: ViewOptions) => {
      // the first word is a setting where no run is named
      const named = run !== undefined && !run.includes('=');
      const overrides = run === undefined || named ? rest : [run, ...rest];
      const { config } = await load(registry, overrides, options);
      const port = wholeNumber('--port', options.port, 0);
      if (port > 65535) throw new UserError(`--port: expected a number from 0 to 65535, got ${port}`);
      const { RunFolders } = await import('../viewer/run-folders.js');
      const { openViewer } = await import('../viewer/server.js');
      const { openBrowser } = await import('../viewer/open-browser.js');
      const runs = RunFolders.open(config.data, named ? run : config.run);
      await work(options, interrupt, async (display, signal) => {
        const { host, images } = options;
        const viewer = await openViewer({
          runs,
          host,
          port,
          images,
          complain: (line) => display.warn(`view: ${line}`),
        });
        try {
          display.info(`${viewer.url}  ${runs.first}  (Ctrl-C ends it)`);
          if (options.open) openBrowser(viewer.url);
          if (!signal.aborted) await once(signal, 'abort');
        } finally {
          await viewer.close();
        }
        return { result: null, lines: [] };
      });
    });
}
