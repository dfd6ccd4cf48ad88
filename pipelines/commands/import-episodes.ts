import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { actionColumns } from '../../src/agents/action-columns.js';
import { formatAction, parseAction, parseDecision } from '../../src/agents/grammar.js';
import { policyPrompt } from '../../src/agents/policy/prompt.js';
import { counted } from '../../src/counted.js';
import type { Action } from '../../src/data/action.js';
import { aitwEpisodes, type TfRecordSource } from '../../src/data/episodes/aitw.js';
import { androidControlEpisodes } from '../../src/data/episodes/androidcontrol.js';
import type { Source } from '../../src/data/episodes/episode.js';
import { EPISODE_SETS, importEpisodes, type EpisodesImported } from '../../src/data/episodes/import.js';
import { plainEpisodes, plainFiles } from '../../src/data/episodes/plain.js';
import { seeclickEpisodes } from '../../src/data/episodes/seeclick.js';
import { readSplits } from '../../src/data/episodes/splits.js';
import { vemEpisodes } from '../../src/data/episodes/vem.js';
import { contentOf } from '../../src/data/episodes/content.js';
import { openPictures, type Pictures } from '../../src/data/released/pictures.js';
import { UserError } from '../../src/errors.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder, runFolder } from '../../src/runner/instance.js';
import { IMPORT, Output } from '../../src/runner/outputs.js';
import { underLock, writeRunRecord } from '../../src/runner/run.js';
import { trashDatasets } from '../../src/runner/trash.js';
import type { Config } from '../../src/settings/settings.js';
import type { ImportSettings } from '../import-settings.js';
import { builtByStage } from './built-by-stage.js';

/** The layouts of demonstrations that `critiq import` reads. */
export const LAYOUTS = ['seeclick', 'vem', 'aitw', 'androidcontrol', 'jsonl'] as const;
export type Layout = (typeof LAYOUTS)[number];

export interface EpisodesOptions {
  readonly display: Display;
  readonly signal: AbortSignal;
  /** replace data sets that the stages of this run built */
  readonly force: boolean;
  /** folder or zip of the screenshots that the files name */
  readonly images?: string;
  /** parts to import, for example `general`; all by default */
  readonly parts?: readonly string[];
  /** file with the episodes of each split */
  readonly splits?: string;
}

/** An action in critiq's own text, whole or its decision alone. */
function parse(text: string): Action | { readonly invalid: string } {
  const whole = parseAction(text);
  return 'invalid' in whole ? parseDecision(text.trim()) : whole.action;
}

interface Opened {
  readonly files: readonly string[];
  readonly pictures?: Pictures;
  readonly open: (onBytes: (bytes: number) => void) => Source;
  /** settings that decide what is read */
  readonly settings: unknown;
}

/**
 * `critiq import seeclick | jsonl | ...`: creates the run folder's `trajectories` (the training part), `heldout` (validation and
 * test) and `imported` (a row an episode) from demonstrations. After an interruption it goes on with the shards that are there.
 */
export async function importDemonstrations(
  layout: Layout,
  paths: readonly string[],
  config: Config,
  options: EpisodesOptions,
): Promise<EpisodesImported> {
  const { display, signal, force } = options;
  const settings = config.import as ImportSettings;
  if (settings.validation + settings.test > 1)
    throw new UserError(
      `import.validation=${settings.validation} and import.test=${settings.test}: expected at most 1 together`,
    );
  const gamma = settings.gamma ?? (config.critic as { readonly gamma: number }).gamma;
  const opened = await OPEN[layout](paths, settings, options);
  // before anything is replaced: the files must be there
  const content = opened.files.map(contentOf);
  try {
    return await underLock(config, display, async (lock, log) => {
      const sets = [...EPISODE_SETS, 'image-vectors'];
      const made = builtByStage(config, sets, force);
      await trashDatasets(config, 'import', made, display);
      log.begin();
      await writeRunRecord(config);
      lock.update(IMPORT);
      const plan = async (finished: boolean): Promise<void> => {
        for (const name of EPISODE_SETS) {
          const output = new Output(name, datasetFolder(config, name));
          output.removeTemporary();
          if (finished && output.shards.length === 0) continue;
          const record = { import: { ...settings, gamma }, layout, files: [...opened.files] };
          await output.writePlan({
            ...{ stage: IMPORT, instance: IMPORT, settings: record },
            ...{ shards: finished ? output.shards : [], finished },
          });
        }
      };
      await plan(false);
      const total = opened.files.reduce((sum, file) => sum + statSync(file).size, 0);
      const progress = display.progress(Math.max(1, Math.ceil(total / MIB)), 'import: MiB');
      let read = 0;
      const imported = await importEpisodes(
        opened.open((bytes) => {
          const before = Math.floor(read / MIB);
          read += bytes;
          progress.advance(Math.floor(read / MIB) - before);
        }),
        runFolder(config),
        {
          layout,
          inputs: { content, settings: opened.settings },
          format: (action) => formatAction(action),
          parse: actionColumns,
          prompt: policyPrompt,
          gamma,
          validation: settings.validation,
          test: settings.test,
          shardSize: settings.shard_size,
          onEpisode: (episodes, steps) => {
            if (signal.aborted) throw new Interrupted('import: stopped; run the same command again to resume');
            progress.note(`${counted(episodes, 'episode')}, ${counted(steps, 'step')}`);
          },
        },
      ).finally(() => progress.done());
      await plan(true);
      return imported;
    });
  } finally {
    opened.pictures?.close();
  }
}

const MIB = 1 << 20;

/** Sources that are TFRecords, with an optional file of splits. */
function tfRecordFiles(
  files: readonly string[],
  { damaged }: ImportSettings,
  { splits }: EpisodesOptions,
  source: (files: readonly string[], options: TfRecordSource) => Source,
): Promise<Opened> {
  const known = splits === undefined ? undefined : readSplits(splits);
  return Promise.resolve({
    ...{
      files,
      settings: {
        damaged,
        splits: splits === undefined ? null : contentOf(splits),
        folders: files.map((file) => basename(dirname(file))),
      },
    },
    open: (onBytes) => source(files, { damaged, onBytes, ...(known ? { splits: known } : {}) }),
  });
}

const OPEN: Readonly<
  Record<Layout, (paths: readonly string[], settings: ImportSettings, options: EpisodesOptions) => Promise<Opened>>
> = {
  seeclick: async (files, { scrolls }, { images, parts }) => {
    if (images === undefined) throw new UserError('--images: expected the folder or zip with the screenshots');
    const pictures = await openPictures(images);
    const wanted = parts ? new Set(parts) : undefined;
    return {
      ...{ files, pictures, settings: { scrolls, parts: parts ?? [], names: files.map((file) => basename(file)) } },
      open: (onBytes) => seeclickEpisodes(files, { pictures, scrolls, parts: wanted, onBytes }),
    };
  },
  vem: async (files, { scrolls }, { images }) => {
    if (images === undefined) throw new UserError('--images: expected the folder or zip with the screenshots');
    const pictures = await openPictures(images);
    return {
      ...{ files, pictures, settings: { scrolls, names: files.map((file) => basename(file)) } },
      open: (onBytes) => vemEpisodes(files, { pictures, scrolls, onBytes }),
    };
  },
  aitw: (files, settings, options) => tfRecordFiles(files, settings, options, aitwEpisodes),
  androidcontrol: (files, settings, options) => tfRecordFiles(files, settings, options, androidControlEpisodes),
  jsonl: async (paths, _settings, { images }) => {
    if (paths.length !== 1) throw new UserError(`expected one folder, got ${paths.length}`);
    const files = plainFiles(paths[0]);
    const pictures = await openPictures(images ?? (statSync(paths[0]).isDirectory() ? paths[0] : '.'));
    return {
      ...{ files, pictures, settings: {} },
      open: (onBytes) => plainEpisodes(files, { pictures, parse, onBytes }),
    };
  },
};

/** An import as lines for people. */
export function describeEpisodes(imported: EpisodesImported): string[] {
  const { episodes, steps, splits, successes, outside, leftOut, leftOutNames, boxes, screens } = imported;
  const lines = [
    `import: done (${counted(episodes, 'episode')}, ${counted(steps, 'step')}, ${counted(screens, 'screenshot')}, ${counted(boxes, 'UI box', 'UI boxes')})`,
    `${splits.train} episodes to train on, ${splits.val} for validation and ${splits.test} for the test, which are held out; ${successes} of ${episodes} reached their goal`,
  ];
  const kinds = Object.entries(outside).sort(([, a], [, b]) => b - a);
  if (kinds.length > 0) {
    const count = kinds.reduce((sum, [, n]) => sum + n, 0);
    lines.push(
      `${counted(count, 'action')} outside of critiq's grammar, kept as invalid actions: ${kinds.map(([kind, n]) => `${kind} ${n}`).join(', ')}`,
    );
  }
  if (leftOut > 0) {
    lines.push(`${counted(leftOut, 'episode')} left out (the data set \`imported\` lists all):`);
    lines.push(...leftOutNames.slice(0, 5).map((name) => `  ${name}`));
  }
  return lines;
}
