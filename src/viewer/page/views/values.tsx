import type { Trajectory, ValueOverview, WorklistPage } from '../../api.js';
import { href } from '../address.js';
import { runPath, useAnswer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { CalibrationChart } from '../charts/calibration.js';
import { EpisodeChart } from '../charts/episode.js';
import { HistogramChart } from '../charts/histogram.js';
import { Notice, Problems, Waiting } from '../notice.js';
import { Worklist, WORKLIST_PAGE } from '../worklist.js';

/** How far the critic can be believed: calibration, its values along an episode, and where it was most wrong. */
export function ValuesView({ info, params }: ViewProps) {
  const run = info.name;
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
  if (Object.keys(reliability).length === 0)
    return (
      <>
        <Problems problems={problems} />
        <Notice kind="empty">
          <p>
            <b>No critic has valued the trajectories of {run} yet.</b> <code>critiq critic run={run}</code> trains one
            and stores what it says of every candidate.
          </p>
        </Notice>
      </>
    );
  return (
    <div class="values">
      <Problems problems={problems} />
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
              to={(step) => href('trajectories', { run, set: episode.value!.set, id: episode.value!.id, step })}
            />
          </>
        )}
      </section>
      <section aria-labelledby="disagree">
        <h2 id="disagree">Where critic and outcome disagree most</h2>
        {worklist.error && <Notice kind="problem">{worklist.error}</Notice>}
        {worklist.value && <Worklist page={worklist.value} params={params} />}
      </section>
    </div>
  );
}
