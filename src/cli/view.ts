import type { Command } from 'commander';
import { once } from 'node:events';
import { common, load, print, wholeNumber, work, type Interrupt, type Options } from './command.js';
import { namedSettings } from './runs.js';
import { UserError } from '../errors.js';
import type { LoadedRegistry, Registry } from '../runner/registry.js';
import type { ManyRuns } from '../viewer/many-runs.js';

interface ViewOptions extends Options {
  host: string;
  port: string;
  open: boolean;
  images?: string;
}

/** `critiq view`: serves a web page on the runs until Ctrl-C. */
export function addViewCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const command = critiq
    .command('view')
    .description('browse trajectories, actions, training, values, tokens and evaluations of the runs on a web page')
    .argument('[run]', 'name or folder of the run to open first; default: the run of the settings');
  common(command, 'critiq view exp7 --port 8701 --no-open')
    .option('--port <n>', 'port to listen on; 0 picks a free one', '8701')
    .option(
      '--host <address>',
      'address to listen on; on any other than loopback, the URL contains an access token',
      '127.0.0.1',
    )
    .option('--no-open', 'print the URL without opening a browser')
    .option('--images <folder>', 'folder of the screenshots that an imported data set refers to')
    .action(async (run: string | undefined, rest: string[], options: ViewOptions) => {
      // where no run is named, the first argument is a setting
      const named = run !== undefined && !run.includes('=');
      const overrides = run === undefined || named ? rest : [run, ...rest];
      const { loaded, config } = await load(registry, overrides, options, { stored: false });
      const port = wholeNumber('--port', options.port, 0);
      if (port > 65535) throw new UserError(`--port: expected an integer from 0 to 65535, got ${port}`);
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
          many: await manyRuns(registry, loaded, runs.folder),
          complain: (line) => display.warn(`view: ${line}`),
        });
        try {
          if (options.json) print(JSON.stringify({ url: viewer.url, run: runs.first }));
          display.info(`${viewer.url}  ${runs.first}  (press Ctrl-C to stop)`);
          if (options.open) openBrowser(viewer.url);
          if (!signal.aborted) await once(signal, 'abort');
        } finally {
          await viewer.close();
        }
        return { result: null, lines: [] };
      });
    });
}

/** The table of the runs in a folder, and their comparison. */
async function manyRuns(registry: Registry, loaded: LoadedRegistry, data: string): Promise<ManyRuns> {
  const { listRuns } = await import('../runs/listing.js');
  const { stateText } = await import('../runs/listing-text.js');
  const { compareRuns } = await import('../runs/compare.js');
  const named = await namedSettings(registry, loaded);
  return {
    list: () => listRuns(loaded, data, named).map((run) => ({ ...run, state: stateText(run) })),
    compare: (runs) => compareRuns(loaded, data, runs),
  };
}
