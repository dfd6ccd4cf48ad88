import js from '@eslint/js';
import tseslint from 'typescript-eslint';

const WRITES = [
  ...['appendFile', 'copyFile', 'cp', 'createWriteStream', 'link', 'rename', 'rm', 'rmdir', 'symlink', 'truncate'],
  ...[
    'unlink',
    'writeFile',
    'appendFileSync',
    'copyFileSync',
    'cpSync',
    'linkSync',
    'renameSync',
    'rmSync',
    'rmdirSync',
  ],
  ...['symlinkSync', 'truncateSync', 'unlinkSync', 'writeFileSync'],
];
const READS = ['createReadStream', 'open', 'openSync', 'readFile', 'readFileSync'];

/** Who else writes, and why it may. */
const WRITERS = {
  'src/cli/init.ts': 'files of a new project, in the folder that the user named',
  'src/data/images.ts': 'named by the hash of the picture; exclusive, as tens of thousands are written without a sync',
  'src/devices/webdriver/records.ts': "in a folder of this user's own below the system's temporary one",
  'src/runner/log/inherit.ts': 'logs of a fork, into a run folder that it has just made',
  'src/runner/metrics.ts': 'appends while a stage runs; exclusive',
  'src/runner/run.ts': 'empty folders, and its own temporary file',
  'src/runner/scratch.ts': 'folders of shards, by their names',
  'src/runner/spare.ts': 'whole folders of its own',
  'src/runner/trash.ts': 'whole folders of its own; names of others by ownPath',
  'src/runs/fork.ts': 'a run folder that it has just made',
  'src/viewer/picture-cache.ts': "the user's cache",
  'pipelines/checkpoint/convert.ts': 'the new folder that the user named',
  'pipelines/checkpoint/unpack.ts': 'the new folder that the user named; only last parts of names',
  'pipelines/commands/import.ts': 'whole data sets that it has just made',
  'pipelines/online.ts': 'its scratch folder',
  'pipelines/training/checkpoints.ts': 'its scratch folder',
  'pipelines/training/training.ts': 'its scratch folder',
  'pipelines/vlm/export.ts': 'a folder that it has marked as its own',
};
const READERS_OF_OTHERS = [
  'src/agents',
  'src/judges',
  'src/library',
  'src/models',
  'src/report',
  'src/runs',
  'src/viewer',
  'pipelines',
];
/** Who else reads, and why it may. */
const READERS = {
  'src/report/script.ts': "uPlot's own files",
  'src/viewer/metrics-tail.ts': 'a part of bounded size',
  'src/viewer/page-files.ts': "the page's own files",
  'src/viewer/picture-cache.ts': "the user's cache",
  'src/viewer/pictures.ts': 'after its size',
  'pipelines/checkpoint/convert.ts': 'the config that was just read with readJson',
  'pipelines/sft.ts': 'pixels that it has just written to its scratch folder',
  'pipelines/training/checkpoints.ts': 'its scratch folder',
  'pipelines/vlm/reference.ts': 'a stream',
};

export default tseslint.config(
  { ignores: ['dist/', 'site/', 'docs/api/', 'node_modules/', 'data/', 'checkpoints/', 'test/fixtures/', '**/*.cjs'] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  {
    languageOptions: { globals: { process: 'readonly', console: 'readonly', Buffer: 'readonly', URL: 'readonly' } },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      // `const { shard: _, ...rest } = line` leaves a field out on purpose
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  // Writing and removing goes through src/data/store, which follows no link and leaves no folder. Exceptions build each path
  // from names of their own, or write to a folder that the user has just named.
  {
    files: ['src/**/*.ts', 'pipelines/**/*.ts'],
    ignores: ['src/data/store/**', ...Object.keys(WRITERS)],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: ['node:fs', 'node:fs/promises'].map((name) => ({
            name,
            importNames: WRITES,
            message:
              'write with writeAtomic, copy with copyWhole or linkOrCopy, remove with removeInside (src/data/store)',
          })),
        },
      ],
    },
  },
  // Reading what others may have written is bounded and names the file: readText, readWhole, readJsonFile, PositionalFile.
  {
    files: READERS_OF_OTHERS.map((layer) => `${layer}/**/*.ts`),
    ignores: Object.keys(READERS),
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: ['node:fs', 'node:fs/promises'].map((name) => ({
            name,
            importNames: READS,
            message:
              'read with readText, readWhole or readJsonFile (src/data/formats), or PositionalFile (src/data/store)',
          })),
        },
      ],
    },
  },
);
