// @ts-check
/**
 * An answer format of your own, for a served model that answers in words: `tap 60 120`, `type hello`, `back`, `home`,
 * `enter`, `done`. `served.format=words`.
 */
import { definePlugin } from 'critiq';
import { pointOf } from 'critiq/agents';
import { tap } from 'critiq/devices';

/** @type {Readonly<Record<string, import('critiq/devices').Action>>} */
const WORDS = {
  back: { type: 'PRESS_BACK' },
  home: { type: 'PRESS_HOME' },
  enter: { type: 'PRESS_ENTER' },
  done: { type: 'STATUS_TASK_COMPLETE' },
};

/** @type {import('critiq/agents').AnswerReader} */
function read(answer, options) {
  const operation = answer.trim().split('\n').at(-1) ?? '';
  const [word, ...rest] = operation.split(/\s+/);
  const read = (/** @type {import('critiq/devices').Action} */ action) => ({
    actions: [action],
    operation,
    summary: '',
  });
  if (Object.hasOwn(WORDS, word)) return read(WORDS[word]);
  if (word === 'type') return read({ type: 'TYPE', text: rest.join(' ') });
  if (word !== 'tap') return { invalid: `it does not begin with tap, type, back, home, enter or done` };
  const point = pointOf(rest.map(Number), options, 'the point');
  return 'invalid' in point ? point : read(tap(point));
}

export default definePlugin({
  name: 'words',
  answers: {
    words: {
      read,
      template: {
        system: 'You operate a panel. Answer with one line: tap X Y (pixels), type TEXT, back, home, enter or done.',
        user: 'Task: {task}\nDone so far:{history}\n{screenshot}',
        step: '\n{number}. {operation}',
        none: ' nothing',
      },
    },
  },
});
