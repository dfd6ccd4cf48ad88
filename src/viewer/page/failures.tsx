import { counted } from '../../counted.js';
import type { TrajectoryPage } from '../api.js';
import { href } from './address.js';
import { runPath, useAnswer } from './answer.js';
import { Notice, Waiting } from './notice.js';
import { PageLinks } from './page-links.js';
import { Screenshot } from './screenshot.js';

const PAGE = 24;

interface FailuresProps {
  readonly run: string;
  /** the evaluation's data set */
  readonly set: string;
  readonly offset: number;
  readonly to: (offset: number) => string;
}

/** The failures of an evaluation as final screens; each opens its trajectory. */
export function Failures({ run, set, offset, to }: FailuresProps) {
  const query = new URLSearchParams({ in: set, success: 'no', offset: String(offset), limit: String(PAGE) });
  const { value, error } = useAnswer<TrajectoryPage>(runPath(run, 'trajectories', query));
  if (error) return <Notice kind="problem">{error}</Notice>;
  if (!value) return <Waiting />;
  if (value.total === 0) return <p>None: every episode that can be read succeeded.</p>;
  return (
    <>
      <ul class="gallery">
        {value.rows.map((row) => (
          <li key={row.id}>
            <a href={href('trajectories', { run, set, id: row.id, step: row.steps - 1, in: set, success: 'no' })}>
              <Screenshot
                run={run}
                screen={row.last}
                words={`final screen of ${row.id}`}
                width={150}
                place={{ set, id: row.id, step: row.steps - 1 }}
              />
              <span>{row.goal}</span>
            </a>
            <span class="note">
              {row.id} · {counted(row.steps, 'step')}
              {row.truncated && ', out of steps'}
            </span>
          </li>
        ))}
      </ul>
      <PageLinks total={value.total} offset={value.offset} size={PAGE} to={to} />
    </>
  );
}
