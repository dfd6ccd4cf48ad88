import type { UserError } from '../../errors.js';

/**
 * What `image_features` holds. `single`: the vector of one screen, as in the released files. `pair`: those of the previous
 * and the current screen side by side, as training sees them after stacking (docs/algorithms.md §0).
 */
export type FrameLayout = 'single' | 'pair';

/** The image vectors of a step as the file has them. */
export interface StoredFrames {
  readonly current: Float32Array;
  /** `next_image_features`; undefined if the file has none for this step */
  readonly next: Float32Array | undefined;
  /** an error about this step */
  readonly fault: (what: string) => UserError;
}

/** The image vectors of a step as training sees them: the state has two screens, and so has the next state. */
export interface Frames {
  readonly prevImage: Float32Array;
  readonly image: Float32Array;
  readonly nextPrevImage: Float32Array;
  readonly nextImage: Float32Array;
}

/**
 * Whether a trajectory's vectors are pairs: the first step repeats its own screen, and each later pair begins with the
 * screen that the pair before it ends with. A vector of one screen does neither.
 */
export function layoutOf(steps: readonly StoredFrames[]): FrameLayout {
  const pairs = steps.every(({ current }, i) => {
    const half = current.length / 2;
    if (!Number.isInteger(half)) return false;
    const before = i === 0 ? current : steps[i - 1].current;
    return equal(current.subarray(0, half), before.subarray(before.length - half));
  });
  return pairs ? 'pair' : 'single';
}

/**
 * The frames of a trajectory. Single vectors are stacked: [previous, current], where the first step repeats its own, and
 * [current, next]. A missing next frame is that of the next step; at the last step nothing follows, so its own is taken.
 * @throws UserError if vectors differ in width, or an odd one is to be cut in two
 */
export function stacked(steps: readonly StoredFrames[], layout: FrameLayout): Frames[] {
  for (const { current, next, fault } of steps) {
    if (layout === 'pair' && current.length % 2 !== 0) {
      throw fault(`image_features: expected two frames of the same width, got ${current.length} floats`);
    }
    if (next && next.length !== current.length) {
      throw fault(`next_image_features: expected ${current.length} floats as in image_features, got ${next.length}`);
    }
  }
  return steps.map(({ current, next }, i) => {
    if (layout === 'single') {
      const following = next ?? steps[i + 1]?.current ?? current;
      return {
        prevImage: i === 0 ? current : steps[i - 1].current,
        image: current,
        nextPrevImage: current,
        nextImage: following,
      };
    }
    const half = current.length / 2;
    const image = current.subarray(half);
    const following = next ?? steps[i + 1]?.current;
    return {
      prevImage: current.subarray(0, half),
      image,
      nextPrevImage: following ? following.subarray(0, half) : image,
      nextImage: following ? following.subarray(half) : image,
    };
  });
}

function equal(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}
