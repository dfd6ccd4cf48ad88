/**
 * Which layer may import which, and that no two files need each other (docs/decisions/0013-layers.md).
 * `npm run lint:layers` checks it; test/docs/layers.test.ts checks that it would fail.
 *
 * @type {import('dependency-cruiser').IConfiguration}
 */

/** What a layer may import beside itself: its own folder, the shared files below, and these. */
const LAYERS = {
  'src/data/formats': ['src/data/store'],
  'src/data': [],
  'src/net': ['src/data'],
  'src/graph': ['src/data/formats', 'src/data/store'],
  'src/models': ['src/graph', 'src/data'],
  'src/algorithms': ['src/models', 'src/graph', 'src/data'],
  'src/devices': ['src/data', 'src/net'],
  'src/judges': ['src/devices', 'src/data', 'src/net'],
  'src/agents': ['src/models', 'src/devices', 'src/judges', 'src/data', 'src/graph', 'src/net'],
  'src/settings': ['src/data'],
  'src/runner': ['src/data', 'src/settings'],
  'src/tracking': ['src/runner', 'src/data', 'src/settings', 'src/net'],
  'src/oracle': ['src/algorithms', 'src/agents', 'src/models', 'src/devices', 'src/data', 'src/graph'],
  'src/recordings': [
    'src/algorithms',
    'src/agents',
    'src/judges',
    'src/devices',
    'src/models',
    'src/data',
    'src/graph',
  ],
  'src/report': ['src/oracle', 'src/algorithms', 'src/agents', 'src/models', 'src/data', 'src/graph'],
  'src/runs': ['src/report', 'src/settings', 'src/runner', 'src/data'],
  'src/viewer': [
    'src/oracle',
    'src/runs',
    'src/report',
    'src/algorithms',
    'src/agents',
    'src/models',
    'src/data',
    'src/graph',
    'src/net',
    'src/devices',
    'src/judges',
    'src/runner',
    'src/settings',
  ],
};
const SHARED = [
  'src/errors\\.ts$',
  'src/package\\.ts$',
  'src/random\\.ts$',
  'src/counted\\.ts$',
  'src/yaml\\.ts$',
  'src/secrets/',
];
const under = (folder) => `^${folder}/`;

module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment:
        'Two files that need each other cannot be read one after the other. Move what both need to the lower one.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...Object.entries(LAYERS).map(([layer, allowed]) => ({
      name: `layer-${layer.replace(/^src\//, '').replace('/', '-')}`,
      comment: `${layer} may import only ${allowed.join(', ') || 'itself'}.`,
      severity: 'error',
      from: { path: under(layer) },
      to: { path: '^(src|pipelines|test|bench)/', pathNot: [under(layer), ...allowed.map(under), ...SHARED] },
    })),
    {
      name: 'pipelines-below-cli',
      comment: 'Stages do not know the command line, the viewer or the library made of them.',
      severity: 'error',
      from: { path: '^pipelines/' },
      to: { path: '^src/(cli|viewer|library|index)(/|\\.ts$)' },
    },
    {
      name: 'pipelines-own-folder',
      comment: 'What lives in the folder of one stage is for that stage alone.',
      severity: 'error',
      // the list of stages may name everything, and `critiq doctor` looks into checkpoints
      from: { path: '^pipelines/([^/.]+)', pathNot: '^pipelines/(index|commands/doctor)\\.ts$' },
      to: {
        path: '^pipelines/[^/]+/',
        pathNot: ['^pipelines/$1/', '^pipelines/(episodes|training|vlm|value|plugins)/'],
      },
    },
    {
      name: 'oracle-for-diagnosis',
      comment: 'True values are for diagnosis: nothing that trains, samples or evaluates may see them.',
      severity: 'error',
      from: {
        path: '^(src|pipelines)/',
        pathNot:
          '^(src/(oracle|report|viewer|cli|library|index)|pipelines/(oracle|report|index)(/|\\.ts$)|pipelines/commands/ranking)',
      },
      to: { path: ['^src/oracle/', '^pipelines/oracle\\.ts$'] },
    },
    {
      name: 'no-tests-in-sources',
      severity: 'error',
      from: { path: '^(src|pipelines)/' },
      to: { path: '^(test|bench|examples)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.js'] },
  },
};
