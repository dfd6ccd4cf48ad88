// @ts-check
/**
 * A device backend of your own: a panel with a lamp and three buttons, one of which the task names. The right button
 * lights the lamp green, a wrong one red. `device.backend=panel`, with its settings in `device.panel`.
 */
import { defineDevice, definePlugin, Random, z } from 'critiq';
import { isTap } from 'critiq/devices';

const WIDTH = 120;
const HEIGHT = 240;
const COLOURS = { red: [200, 40, 40], green: [40, 160, 60], blue: [40, 80, 200] };
const NAMES = /** @type {(keyof typeof COLOURS)[]} */ (Object.keys(COLOURS));
/** The lamp is the top fifth of the screen; the buttons share the rest. */
const LAMP = 0.2;

/** @typedef {import('critiq/devices').Device} Device */

/** @implements {Device} */
class Panel {
  size = { width: WIDTH, height: HEIGHT };
  buttons = NAMES;
  wanted = '';
  /** @type {'off' | 'right' | 'wrong'} */
  lamp = 'off';

  /** @param {string} id */
  constructor(id) {
    this.id = id;
  }

  /** @type {Device['reset']} */
  async reset(_level, { task, seed }) {
    this.wanted = String(task.goal?.button);
    this.buttons = new Random(seed, 'panel').shuffled(NAMES);
    this.lamp = 'off';
  }

  async screenshot() {
    const rgba = new Uint8ClampedArray(4 * WIDTH * HEIGHT);
    for (let y = 0; y < HEIGHT; y++) {
      const colour = y < LAMP * HEIGHT ? this.lampColour() : COLOURS[this.buttons[this.buttonAt(y / HEIGHT)]];
      for (let x = 0; x < WIDTH; x++) rgba.set([...colour, 255], 4 * (y * WIDTH + x));
    }
    return { width: WIDTH, height: HEIGHT, rgba };
  }

  /** @type {Device['act']} */
  async act(action) {
    if (action.type === 'DUAL_POINT' && isTap(action) && action.touch[0] >= LAMP && this.lamp === 'off')
      this.lamp = this.buttons[this.buttonAt(action.touch[0])] === this.wanted ? 'right' : 'wrong';
    return { applied: /** @type {const} */ ('yes') };
  }

  achieved() {
    return this.lamp === 'right';
  }

  async health() {
    return /** @type {const} */ ('ok');
  }

  async close() {}

  /** @param {number} y share of the screen's height */
  buttonAt(y) {
    return Math.min(NAMES.length - 1, Math.floor(((y - LAMP) / (1 - LAMP)) * NAMES.length));
  }

  lampColour() {
    return { off: [60, 60, 60], right: [120, 255, 120], wrong: [255, 60, 60] }[this.lamp];
  }
}

const panel = defineDevice({
  settings: z.object({
    repeats: z.int().min(1).max(1000).default(4).describe('test tasks for each button'),
  }),
  open: (slot) => new Panel(`panel-${slot}`),
  parallel: true,
  tasks: (split, { seed, count = 30 }, { repeats }) => {
    const task = (/** @type {string} */ name, /** @type {number} */ i) => ({
      id: `${split}-${name}-${i}`,
      text: `tap the ${name} button`,
      family: 'panel',
      goal: { button: name },
    });
    if (split === 'test') return NAMES.flatMap((name) => Array.from({ length: repeats }, (_, i) => task(name, i)));
    const random = new Random(seed, 'panel tasks');
    return Array.from({ length: count }, (_, i) => task(random.pick(NAMES), i));
  },
});

export default definePlugin({ name: 'panel', devices: { panel } });
