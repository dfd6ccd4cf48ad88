import type { ImageStore } from '../../src/data/images.js';
import type { Scores, Strip, StripStep } from '../../src/report/strip.js';
import { thumbnail, type Thumbnail } from '../../src/report/thumbnails.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { ReportedStep } from './steps.js';
import { imagesOf } from '../resources.js';

interface StripOptions {
  readonly title: string;
  readonly note: string;
  /** most steps to show */
  readonly longest: number;
  readonly scores?: (step: ReportedStep) => Scores | undefined;
  /** whether to show the return of each step */
  readonly returns?: boolean;
}

/** Thumbnails of the run's screenshots; each is made once. */
export class Screens {
  private readonly made = new Map<string, Thumbnail | undefined>();

  constructor(private readonly ctx: StageContext<unknown>) {}

  /** The steps of a trajectory (in order) as a strip of screenshots. */
  async strip(steps: readonly ReportedStep[], { title, note, longest, scores, returns }: StripOptions): Promise<Strip> {
    const shown = steps.slice(0, longest);
    const end = steps.at(-1)!;
    const pictured: StripStep[] = [];
    for (const step of shown) {
      pictured.push({
        action: step.action,
        picture: await this.picture(step.image),
        scores: scores?.(step),
        mcReturn: returns ? step.mcReturn : undefined,
      });
    }
    return {
      title,
      goal: end.goal,
      note,
      success: end.trajectoryReward > 0,
      truncated: end.truncated,
      steps: pictured,
      more: steps.length - shown.length,
      last: shown.length === steps.length ? await this.picture(end.nextImage) : undefined,
    };
  }

  /** Undefined if the screenshot is not stored: imported data has only image vectors. */
  private async picture(id: string): Promise<Thumbnail | undefined> {
    if (!this.made.has(id)) {
      const images: ImageStore = await imagesOf(this.ctx);
      const stored = /^[0-9a-f]{32}$/.test(id) && (await images.has(id));
      this.made.set(id, stored ? await thumbnail(await images.get(id)) : undefined);
    }
    return this.made.get(id);
  }
}
