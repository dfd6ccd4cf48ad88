import { join } from 'node:path';
import { ImageVectors } from '../data/image-vectors.js';
import { UserError } from '../errors.js';
import type { PolicyScores } from './api.js';
import type { PolicyAnswer, PolicyRequest } from './policy-worker.js';
import { QuestionWorker } from './question-worker.js';
import { dataSets } from '../data/store/data-sets.js';
import { setVersion, wholeFiles } from './run-files.js';

/** Most states whose scores are kept. */
const MOST = 500;

/** Computes the probabilities that policies give to stored candidates, in one thread for all runs. */
export class PolicyScorer {
  private readonly worker = new QuestionWorker<PolicyRequest, PolicyAnswer>(
    new URL('./policy-worker.js', import.meta.url),
  );
  private readonly kept = new Map<string, PolicyScores>();

  /**
   * The log-probabilities of a state's actions under a policy of the run, from the stored image vector of the screen.
   * @param state the screen's content id, the prompt and the actions
   * @throws UserError if there is no such policy, or no vector of the screen
   */
  async scores(
    run: string,
    policy: string,
    state: {
      readonly tid: number;
      readonly image: string;
      readonly prompt: string;
      readonly actions: readonly string[];
    },
  ): Promise<PolicyScores> {
    if (!policiesOf(run).includes(policy)) throw new UserError(`${run}: no policy ${JSON.stringify(policy)}`);
    const folder = join(run, 'policy', policy);
    const version = setVersion(folder);
    const key = JSON.stringify([folder, version, state]);
    const known = this.kept.get(key);
    if (known) return known;
    const vector = await imageVector(run, state.image);
    const answer = await this.worker.ask({ folder, version, vector, prompt: state.prompt, actions: state.actions });
    if ('error' in answer) throw new UserError(`policy ${policy}: ${answer.error}`);
    const scores = { tid: state.tid, policy, logProbs: answer.logProbs };
    this.kept.set(key, scores);
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= MOST) break;
      this.kept.delete(oldest);
    }
    return scores;
  }

  close(): Promise<void> {
    return this.worker.close();
  }
}

/** Names of a run's policies. */
export function policiesOf(run: string): string[] {
  return dataSets(run).flatMap((name) => (/^policy\/[^/]+$/.test(name) ? [name.slice('policy/'.length)] : []));
}

async function imageVector(run: string, image: string): Promise<Float32Array> {
  const { files, problems } = await wholeFiles(run, 'image-vectors', /\.arrow$/);
  const vectors = ImageVectors.open(
    files.map(({ path }) => path),
    { cacheBytes: 0 },
  );
  try {
    if (!vectors.has(image))
      throw new UserError(problems[0]?.message ?? `${join(run, 'image-vectors')}: no image vector of this screen`);
    const vector = new Float32Array(vectors.dim);
    vectors.read(image, vector);
    return vector;
  } finally {
    vectors.close();
  }
}
