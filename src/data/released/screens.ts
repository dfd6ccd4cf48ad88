/**
 * Whether `image_path` names the screen `before` the action, as in the released files, or `after` it, as in the files that
 * collection writes (`trajectories_eval.pt`).
 */
export type ScreenLayout = 'before' | 'after';

/** The paths of a step as the file has them. */
export interface StoredScreens {
  readonly image: string | undefined;
  /** `next_image_path` */
  readonly next: string | undefined;
}

/** The paths of the screens before and after a step's action; '' if unknown. */
export interface Screens {
  readonly imagePath: string;
  readonly nextImagePath: string;
}

/** A path that ends with the number of a screen in its trajectory: `3_0.png` is the first of trajectory 3. */
const NUMBERED = /^(.*_)(\d{1,9})(\.[^./\\]*)?$/s;

/** Collection numbers screens from 1, since it writes each after an action; the released files begin with screen 0. */
export function screenLayoutOf(steps: readonly StoredScreens[], firstStep: number): ScreenLayout {
  const number = NUMBERED.exec(steps[0]?.image ?? '')?.[2];
  return steps[0]?.next === undefined && number !== undefined && Number(number) === firstStep + 1 ? 'after' : 'before';
}

/** The screens of a trajectory. Collected paths are shifted: each step saw the screen that the step before it led to. */
export function screensOf(steps: readonly StoredScreens[], layout: ScreenLayout): Screens[] {
  if (layout === 'after') {
    return steps.map(({ image = '' }, i) => ({
      imagePath: i === 0 ? moved(image, -1) : (steps[i - 1].image ?? ''),
      nextImagePath: image,
    }));
  }
  return steps.map(({ image = '', next }, i) => ({
    imagePath: image,
    nextImagePath: next ?? steps[i + 1]?.image ?? moved(image, 1),
  }));
}

/** The path of the screen `by` numbers later; '' if the path has no number. */
function moved(path: string, by: number): string {
  const [, start, number, end = ''] = NUMBERED.exec(path) ?? [];
  return number === undefined || Number(number) + by < 0 ? '' : `${start}${Number(number) + by}${end}`;
}
