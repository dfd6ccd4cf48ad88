/** Scripts for served agents that solve tasks on the embedded phone: the answer to each screen, in each format. */
import type { AnswerReader, ReadOptions } from '../../../src/agents/served/answers/answer.js';
import { formatAction } from '../../../src/agents/grammar.js';
import { SERVED_FORMATS, type ServedFormatName } from '../../../src/agents/served/formats.js';
import { sentPicture, type PictureOptions } from '../../../src/agents/served/picture.js';
import { TAP_DISTANCE, type Action, type Point } from '../../../src/data/action.js';
import { DEFAULT_GRID, expert, Phone, phoneTasks } from '../../../src/devices/phone/index.js';
import { Random } from '../../../src/random.js';
import { sentId, type Asked } from './server.js';

/** The first test episodes of `critiq eval` with seed 0. */
export function testEpisodes(count: number) {
  const tasks = phoneTasks({ set: 'webshop', split: 'test', seed: new Random(0, 'eval').int(2 ** 31) });
  return Array.from({ length: count }, (_, n) => ({
    task: tasks[n],
    seed: new Random(0, 'eval', 'test', n).int(2 ** 31),
  }));
}

/** A format's default picture options. */
const picture = (format: ServedFormatName): PictureOptions => ({
  type: 'png',
  quality: 90,
  ...(SERVED_FORMATS[format].patches ? { patches: { factor: 28, minPixels: 3136, maxPixels: 12_845_056 } } : {}),
});

/** The answers of a flawless agent in these episodes, by task and screen. */
export async function flawless(format: ServedFormatName, episodes: ReturnType<typeof testEpisodes>) {
  const { read, coordinates, scroll, enter } = SERVED_FORMATS[format];
  const answers = new Map<string, string>();
  for (const { task, seed } of episodes) {
    const phone = new Phone('script');
    await phone.reset('app', { task, seed, deadlineMs: 1000 });
    const random = new Random(seed, 'script');
    let focus: Point = [0.5, 0.5];
    for (let step = 0, complete = false; step < 20 && !complete; step++) {
      const sent = await sentPicture(await phone.screenshot({ deadlineMs: 1000 }), picture(format));
      const action = expert(phone, { grid: DEFAULT_GRID, random });
      if (action.type === 'DUAL_POINT') focus = action.touch;
      const options = { ...sent, coordinates, scroll };
      const answer = WRITERS[format](action, focus, options);
      answers.set(`${task.text} ${sentId(sent.url)}`, answer);
      for (const done of understood(read, answer, options, enter)) {
        await phone.act(done, { deadlineMs: 1000 });
        complete ||= done.type === 'STATUS_TASK_COMPLETE';
      }
    }
  }
  return (asked: Asked): string | undefined => {
    const episode = episodes.find(({ task }) => asked.text.includes(task.text));
    return episode && answers.get(`${episode.task.text} ${sentId(asked.pictures.at(-1)!)}`);
  };
}

function understood(read: AnswerReader, answer: string, options: ReadOptions, enter: boolean): Action[] {
  const found = read(answer, options);
  if ('invalid' in found) throw new Error(`the script is wrong: ${answer}: ${found.invalid}`);
  const typed = enter && found.actions.at(-1)?.type === 'TYPE';
  return [...found.actions, ...(typed ? [{ type: 'PRESS_ENTER' } as const] : [])];
}

const tapped = ({ touch, lift }: Extract<Action, { type: 'DUAL_POINT' }>): boolean =>
  Math.hypot(touch[0] - lift[0], touch[1] - lift[1]) <= TAP_DISTANCE;

type Writer = (action: Action, focus: Point, options: ReadOptions) => string;

const scaled = ([y, x]: Point, width: number, height: number): [number, number] => [
  Math.round(x * width),
  Math.round(y * height),
];

const WRITERS: Readonly<Record<ServedFormatName, Writer>> = {
  autoui: (action) => `I go on.\n${formatAction(action)}`,
  cogagent: (action, focus) => {
    const box = (point: Point) => {
      const [x, y] = scaled(point, 1000, 1000);
      return `box=[[${x},${y},${x},${y}]], element_type='Element', element_info='it''s here'`;
    };
    const operation = (): string => {
      if (action.type === 'TYPE') return `TYPE(${box(focus)}, text='${action.text}')`;
      if (action.type === 'STATUS_TASK_COMPLETE') return 'END()';
      if (action.type !== 'DUAL_POINT') return `KEY_PRESS(key='${action.type.replace(/^PRESS_/, '')}')`;
      if (tapped(action)) return `CLICK(${box(action.touch)})`;
      const [dy, dx] = [action.lift[0] - action.touch[0], action.lift[1] - action.touch[1]];
      const direction = Math.abs(dy) > Math.abs(dx) ? (dy < 0 ? 'UP' : 'DOWN') : dx < 0 ? 'LEFT' : 'RIGHT';
      return `SCROLL_${direction}(${box([0.6, 0.5])}, step_count=5)`;
    };
    return `Action: The next one.\nGrounded Operation: ${operation()}\n<<General Operation>>`;
  },
  mobile_use: (action, _, { width, height }) => {
    const args = (): object => {
      if (action.type === 'TYPE') return { action: 'type', text: action.text };
      if (action.type === 'STATUS_TASK_COMPLETE') return { action: 'terminate', status: 'success' };
      if (action.type !== 'DUAL_POINT') return { action: 'system_button', button: action.type.replace(/^PRESS_/, '') };
      const coordinate = scaled(action.touch, width, height);
      return tapped(action)
        ? { action: 'click', coordinate }
        : { action: 'swipe', coordinate, coordinate2: scaled(action.lift, width, height) };
    };
    return `<tool_call>\n${JSON.stringify({ name: 'mobile_use', arguments: args() })}\n</tool_call>`;
  },
  ui_tars: (action, _, { width, height }) => {
    const at = (point: Point) => `'(${scaled(point, width, height).join(',')})'`;
    const operation = (): string => {
      if (action.type === 'TYPE') return `type(content='${action.text}\\n')`;
      if (action.type === 'STATUS_TASK_COMPLETE') return "finished(content='')";
      if (action.type === 'PRESS_ENTER') return "hotkey(key='enter')";
      if (action.type !== 'DUAL_POINT') return `${action.type.toLowerCase()}()`;
      return tapped(action)
        ? `click(start_box=${at(action.touch)})`
        : `drag(start_box=${at(action.touch)}, end_box=${at(action.lift)})`;
    };
    return `Thought: I go on.\nAction: ${operation()}`;
  },
};
