// @ts-check
/** A judge of your own: success is a lamp of the right colour on the last screenshot. `judge.kind=lamp`. */
import { defineJudge, definePlugin, z } from 'critiq';

const lamp = defineJudge({
  settings: z.object({
    tolerance: z
      .int()
      .min(0)
      .max(255)
      .default(40)
      .describe('largest difference of a colour channel from (120, 255, 120)'),
  }),
  parallel: true,
  open: ({ settings: { tolerance }, asked }) => ({
    name: 'lamp',
    asked,
    // it looks at screenshots alone: the device goes on with the next episode meanwhile
    byScreens: true,
    judge: async ({ frame }) => {
      if (!frame) return 'unknown';
      const middle = 4 * (Math.floor(0.1 * frame.height) * frame.width + Math.floor(frame.width / 2));
      const near = [120, 255, 120].every((value, i) => Math.abs(frame.rgba[middle + i] - value) <= tolerance);
      return near ? 'success' : 'failure';
    },
  }),
});

export default definePlugin({ name: 'lamp', judges: { lamp } });
