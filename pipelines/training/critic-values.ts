import type { Critic } from '../../src/agents/critic/critic.js';
import type { ValueRow } from '../../src/data/transitions.js';
import type { Progress } from '../../src/runner/display.js';
import type { CriticData } from './critic-data.js';

/** States valued together. */
const CHUNK = 64;

/** The values that a critic gives to all candidates of all transitions, in their order. */
export async function* valuesOf(
  critic: Critic,
  data: CriticData,
  { progress, signal }: { readonly progress: Pick<Progress, 'advance' | 'done'>; readonly signal: AbortSignal },
): AsyncGenerator<ValueRow> {
  const { dim } = data.representations;
  for (let start = 0; start < data.transitions.length; start += CHUNK) {
    signal.throwIfAborted();
    const rows = data.transitions.slice(start, start + CHUNK);
    const states = rows.map(({ goal, prevAction, prevImage, image, tid }, i) => {
      const { actions } = data.candidates[start + i];
      const reps = new Float32Array(actions.length * dim);
      data.representations.readRows(
        tid,
        actions.map((_, k) => k),
        reps,
      );
      const stateRep = new Float32Array(critic.wantsStateRep ? dim : 0);
      if (stateRep.length > 0) data.readStateRep(start + i, stateRep, 0);
      const vector = (id: string) => {
        const out = new Float32Array(data.vectors.dim);
        data.vectors.read(id, out);
        return out;
      };
      return {
        goal,
        previous: prevAction,
        previousImage: vector(prevImage),
        image: vector(image),
        rep: stateRep,
        actions,
        reps,
      };
    });
    for (const [i, { q1, q2, v1, v2 }] of (await critic.value(states)).entries()) {
      yield { tid: rows[i].tid, q1: [...q1], q2: [...q2], v1, v2 };
    }
    progress.advance(rows.length);
  }
  progress.done();
}
