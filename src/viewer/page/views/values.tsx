import { calibrationVerdict } from '../../../report/verdicts.js';
import type { Trajectory, ValueOverview, WorklistPage } from '../../api.js';
import { href } from '../address.js';
import { runPath, useAnswer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { CalibrationChart, CalibrationTable } from '../charts/calibration.js';
import { EpisodeChart } from '../charts/episode.js';
import { HistogramChart } from '../charts/histogram.js';
import { useNarrow } from '../narrow.js';
import { Notice, Problems, Waiting } from '../notice.js';
import { Worklist, WORKLIST_PAGE } from '../worklist.js';

/** Critic quality: calibration, advantages, values along an episode, and the largest errors. */
export function ValuesView({ info, params }: ViewProps) {
  const run = info.name;
  const narrow = useNarrow();
  const overview = useAnswer<ValueOverview>(runPath(run, 'values'));
  const query = new URLSearchParams({
    side: params.get('side') ?? 'either',
    offset: params.get('offset') ?? '0',
    limit: String(WORKLIST_PAGE),
  });
  const worklist = useAnswer<WorklistPage>(runPath(run, 'worklist', query));
  const first = worklist.value?.rows[0];
  const chosen = params.get('set') === 'trajectories' && params.has('id');
  const id = chosen ? params.get('id')! : first?.id;
  const place = id === undefined ? undefined : new URLSearchParams({ set: 'trajectories', id });
  const episode = useAnswer<Trajectory>(place && runPath(run, 'trajectory', place));
  if (overview.error) return <Notice kind="problem">{overview.error}</Notice>;
  if (!overview.value) return <Waiting />;
  const { reliability, advantages, threshold, problems } = overview.value;
  const verdict = calibrationVerdict(reliability);
  if (Object.keys(reliability).length === 0)
    return (
      <>
        <Problems problems={problems} />
        <Notice kind="empty">
          <p>
            <b>There are no critic values for {run} yet.</b> <code>critiq critic run={run}</code> trains a critic and
            stores its values of all candidates.
          </p>
        </Notice>
      </>
    );
  return (
    <div class="values">
      <Problems problems={problems} />
      {verdict && (
        <p class={`verdict ${verdict.level === 'good' ? 'fine' : verdict.level}`}>{verdict.sentences.join(' ')}</p>
      )}
      <div class="charts">
        <section aria-labelledby="calibration">
          <h2 id="calibration">Calibration</h2>
          <CalibrationChart reliability={reliability} />
        </section>
        <section aria-labelledby="advantages">
          <h2 id="advantages">Advantages</h2>
          {advantages && <HistogramChart histogram={advantages} mark={threshold} />}
        </section>
      </div>
      <CalibrationTable reliability={reliability} />
      <section aria-labelledby="episode">
        <h2 id="episode">Along an episode</h2>
        {episode.error && <Notice kind="problem">{episode.error}</Notice>}
        {episode.value && (
          <>
            <p class="about">
              <a href={href('trajectories', { run, set: episode.value.set, id: episode.value.id })}>
                {episode.value.goal}
              </a>{' '}
              <code>{episode.value.id}</code>
            </p>
            <EpisodeChart
              trajectory={episode.value}
              narrow={narrow}
              to={(step) => href('trajectories', { run, set: episode.value!.set, id: episode.value!.id, step })}
            />
          </>
        )}
      </section>
      <section aria-labelledby="disagree">
        <h2 id="disagree">Largest errors</h2>
        <p class="note">The step of each trajectory where Q (minimum of the twins) is farthest from the return.</p>
        {worklist.error && <Notice kind="problem">{worklist.error}</Notice>}
        {worklist.value && <Worklist page={worklist.value} params={params} />}
      </section>
    </div>
  );
}
