import { Hono, type Context } from 'hono';
import { z } from 'zod';
import { UserError } from '../errors.js';
import type { RunList, RunRow, Screen } from './api.js';
import { DISPUTES } from './labels.js';
import { evaluationList, paired } from './evaluations.js';
import type { ManyRuns } from './many-runs.js';
import { metricInstances, metricsTail } from './metrics-tail.js';
import type { Picture, Pictures } from './pictures.js';
import type { PolicyScorer } from './policy-scores.js';
import type { Runs } from './runs.js';

const whole = (most: number) => z.coerce.number().int().min(0).max(most);
const text = z.string().max(2000);

const Filter = z.object({
  text: text.optional(),
  /** data set */
  in: text.optional(),
  stage: text.optional(),
  policy: text.optional(),
  device: text.optional(),
  family: text.optional(),
  success: z
    .enum(['yes', 'no'])
    .transform((word) => word === 'yes')
    .optional(),
  labels: z.enum(DISPUTES).optional(),
});
const Paging = z.object({ offset: whole(1e9).default(0), limit: whole(200).default(50) });
/** the page that holds a trajectory, instead of the one at an offset */
const Near = z.object({ near_set: text.optional(), near_id: text.optional() });
const Named = z.object({ set: text, id: text });
const Place = Named.extend({ step: whole(1e6) });
const Worklist = z.object({ side: z.enum(['over', 'under', 'either']).default('either') });
const Compared = z.object({ runs: text });
const Pair = z.object({ before: text, after: text });
const Tokens = z.object({
  set: text.optional(),
  iteration: whole(1e9).optional(),
  text: text.optional(),
  action: z.string().max(10_000).optional(),
});
const Scored = Place.extend({ policy: text });
const Tail = z.object({ instance: text, file: text.default(''), from: whole(1e12).default(0) });
const Size = z.object({ size: z.enum(['small', 'full']).default('full') });

/** Where the API gets its answers from. */
export interface ApiSources {
  readonly runs: Runs;
  readonly pictures: Pictures;
  readonly scorer: PolicyScorer;
  /** folder of the screenshots that imported data sets refer to; undefined: they are not shown */
  readonly images: string | undefined;
  /** the table of all runs and their comparison; undefined: there is none */
  readonly many?: ManyRuns;
}

/** The JSON API below `/api`; it only reads. Names in a URL are looked up, never joined to a path. */
export function apiRoutes({ runs, pictures, scorer, images, many }: ApiSources): Hono {
  const { folders } = runs;
  const app = new Hono();
  const of = (c: Context) => runs.of(c.req.param('run')!);

  app.get('/runs', (c) =>
    c.json({ folder: folders.folder, runs: folders.names(), first: folders.first } satisfies RunList),
  );
  app.get('/all-runs', (c) => c.json((many?.list() ?? []) satisfies RunRow[]));
  app.get('/compare', async (c) => {
    const names = query(c, Compared).runs.split(',');
    if (!many || names.length < 2) throw new UserError('expected two or more runs to compare');
    // only names of runs in this folder
    for (const name of names) folders.path(name);
    return c.json(await many.compare(names));
  });
  app.get('/runs/:run', async (c) => c.json(await of(c).trajectories.info(c.req.param('run'))));
  app.get('/runs/:run/trajectories', async (c) => {
    const { offset, limit } = query(c, Paging);
    const { near_set: set, near_id: id } = query(c, Near);
    const near = set === undefined || id === undefined ? undefined : { set, id };
    return c.json(await of(c).trajectories.page(query(c, Filter), { offset, limit, near }));
  });
  app.get('/runs/:run/trajectory', async (c) => {
    const { set, id } = query(c, Named);
    return c.json(await of(c).trajectories.one(set, id));
  });
  app.get('/runs/:run/state', async (c) => {
    const { set, id, step } = query(c, Place);
    return c.json(await of(c).trajectories.state(set, id, step));
  });
  app.get('/runs/:run/policy-scores', async (c) => {
    const { set, id, step, policy } = query(c, Scored);
    const { trajectories, folder } = of(c);
    const { tid, screen, prompt, candidates } = await trajectories.state(set, id, step);
    if (screen.kind !== 'stored')
      throw new UserError('a policy needs a screenshot that is stored in the run, and this state has none');
    const actions = candidates.map(({ action }) => action);
    return c.json(await scorer.scores(folder, policy, { tid, image: screen.id, prompt, actions }));
  });
  app.get('/runs/:run/values', async (c) => c.json(await of(c).values.overview()));
  app.get('/runs/:run/worklist', async (c) => {
    const { offset, limit } = query(c, Paging);
    return c.json(await of(c).values.worklist(query(c, Worklist).side, offset, limit));
  });
  app.get('/runs/:run/evaluations', (c) => c.json(evaluationList(of(c).folder)));
  app.get('/runs/:run/paired', async (c) => {
    const { before, after } = query(c, Pair);
    return c.json(await paired(of(c).trajectories.index, before, after));
  });
  app.get('/runs/:run/tokens', async (c) =>
    c.json(await of(c).tokens.page({ ...query(c, Tokens), ...query(c, Paging) })),
  );
  app.get('/runs/:run/metrics', (c) => c.json(metricInstances(of(c).folder)));
  app.get('/runs/:run/metrics-tail', (c) => {
    const { instance, file, from } = query(c, Tail);
    return c.json(metricsTail(of(c).folder, instance, file, from));
  });
  app.get('/runs/:run/images/:id', async (c) => {
    const picture = await pictures.stored(of(c).folder, c.req.param('id'), query(c, Size).size === 'small');
    return sent(c, picture, 'private, max-age=31536000, immutable');
  });
  app.get('/runs/:run/screen', async (c) => {
    const { set, id, step } = query(c, Place);
    const screen: Screen = await of(c).trajectories.screen(set, id, step);
    if (screen.kind !== 'file') throw new UserError('the data set refers to no screenshot for this step');
    if (images === undefined)
      throw new UserError(
        `the data set refers to the screenshot ${screen.path}: start critiq view with --images FOLDER, a folder that holds it`,
      );
    const name = screen.path.replace(/^\/+/, '');
    return sent(c, await pictures.named(images, name, query(c, Size).size === 'small'), 'private, max-age=60');
  });
  return app;
}

function sent(c: Context, { bytes, type }: Picture, cache: string): Response {
  c.header('content-type', type);
  c.header('cache-control', cache);
  return c.body(bytes);
}

/** The parameters of the URL. @throws UserError that names the wrong one */
function query<T>(c: Context, schema: z.ZodType<T>): T {
  const read = schema.safeParse(c.req.query());
  if (read.success) return read.data;
  const [{ path, message }] = read.error.issues;
  throw new UserError(`?${path.join('.')}=: ${message}`);
}
