import { decodeText, linesOf } from './formats/text.js';
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { z } from 'zod';
import { readFailure, UserError } from '../errors.js';
import type { Task } from './task.js';
import { parseJson } from './formats/json.js';

/** Maximum size of a task list in bytes. */
const LARGEST = 16 << 20;
const LONGEST_TASK = 2000;

const LARGEST_GOAL = 16 << 10;

/** A line of a .jsonl file of tasks. */
const TaskLine = z.strictObject({
  id: z.string().regex(/^[\w.+-]{1,100}$/, 'expected 1 to 100 letters, digits, _ . + -'),
  text: z.string().trim().min(1).max(LONGEST_TASK),
  family: z
    .string()
    .regex(/^[\w.+-]{1,100}$/, 'expected 1 to 100 letters, digits, _ . + -')
    .optional(),
  goal: z
    .record(z.string(), z.unknown())
    .refine((goal) => JSON.stringify(goal).length <= LARGEST_GOAL, `expected at most ${LARGEST_GOAL} characters`)
    .optional(),
});

/**
 * Reads tasks from a file. A `.jsonl` file has an object `{ id, text, family?, goal? }` on each line, where the goal is what
 * the device needs (for the browser `{ url }`). Any other file has one task text per line, like DigiRL's files of
 * Android-in-the-Wild tasks. Empty lines are ignored; texts may repeat, as they do in these files.
 * @throws UserError if the file cannot be read, is not text, or has no tasks
 */
export function readTaskList(file: string): Task[] {
  const json = file.endsWith('.jsonl');
  const whatToDo = `expected a text file with ${json ? 'a JSON object {"id", "text", "family", "goal"}' : 'a task'} on each line`;
  let bytes: Buffer;
  try {
    const stat = statSync(file);
    if (stat.isFIFO() || stat.isCharacterDevice()) throw new UserError(`${file}: got a pipe or device; ${whatToDo}`);
    if (stat.size > LARGEST)
      throw new UserError(`${file}: expected at most ${LARGEST} bytes, got ${stat.size}; ${whatToDo}`);
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw readFailure(file, error, whatToDo);
  }
  const text = decodeText(bytes);
  if (text.includes('\0') || text.includes('\uFFFD')) throw new UserError(`${file}: not text; ${whatToDo}`);
  const name = basename(file).replace(/\.[^.]*$/, '');
  if (json) return jsonTasks(text, file, name, whatToDo);
  const tasks: Task[] = [];
  linesOf(text).forEach((line, i) => {
    const task = line.trim();
    if (task === '') return;
    if (task.length > LONGEST_TASK)
      throw new UserError(`${file}:${i + 1}: expected a task of at most ${LONGEST_TASK} characters, got ${task.length}`);
    tasks.push({ id: `${name}-${String(tasks.length).padStart(4, '0')}`, text: task, family: familyOf(task, name) });
  });
  if (tasks.length === 0) throw new UserError(`${file}: has no tasks; ${whatToDo}`);
  return tasks;
}

function jsonTasks(text: string, file: string, list: string, whatToDo: string): Task[] {
  const tasks = new Map<string, Task>();
  linesOf(text).forEach((line, i) => {
    if (line.trim() === '') return;
    const where = `${file}:${i + 1}`;
    let value: unknown;
    try {
      value = parseJson(line);
    } catch (error) {
      throw new UserError(`${where}: ${(error as Error).message}; ${whatToDo}`);
    }
    const { success, data, error } = TaskLine.safeParse(value);
    if (!success) {
      const { path, message } = error.issues[0];
      throw new UserError(`${where}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${message}; ${whatToDo}`);
    }
    if (tasks.has(data.id)) throw new UserError(`${where}: the id ${data.id} is repeated; give each task its own id`);
    tasks.set(data.id, { ...data, family: data.family ?? list });
  });
  if (tasks.size === 0) throw new UserError(`${file}: has no tasks; ${whatToDo}`);
  return [...tasks.values()];
}

/** The family of a Web Shopping task is its length in subtasks, as on the embedded phone; that of others is the list's name. */
function familyOf(task: string, list: string): string {
  if (!/^go to \S+\.\w+/i.test(task)) return list.replace(/[_-]?(train|test)$/i, '') || list;
  if (!/search for/i.test(task)) return 'webshop-1';
  return /select|first entry|add /i.test(task) ? 'webshop-3' : 'webshop-2';
}

/** A task's text in the form for comparison: without differences in case, spaces and kinds of quotes. */
export function comparable(text: string): string {
  return text.toLowerCase().replace(/["'`\u2018\u2019\u201C\u201D]/g, "'").replace(/\s+/g, ' ').trim();
}

/** The overlap of two task lists (docs/algorithms.md §7). */
export interface Overlap {
  readonly train: { readonly tasks: number; readonly distinct: number };
  readonly test: { readonly tasks: number; readonly distinct: number };
  /** number of test tasks that are training tasks too, of all and of the first 96 (the published protocol) */
  readonly leaked: number;
  readonly leakedOfFirst96: number;
}

/** Counts repeated tasks, and test tasks that are in the training list. */
export function overlap(train: readonly Task[], test: readonly Task[]): Overlap {
  const texts = (tasks: readonly Task[]) => tasks.map(({ text }) => comparable(text));
  const known = new Set(texts(train));
  const leaks = texts(test).map((text) => known.has(text));
  const count = (values: readonly boolean[]) => values.filter(Boolean).length;
  return {
    train: { tasks: train.length, distinct: known.size },
    test: { tasks: test.length, distinct: new Set(texts(test)).size },
    leaked: count(leaks),
    leakedOfFirst96: count(leaks.slice(0, 96)),
  };
}

/** An overlap as a line of text. */
export function overlapLine({ train, test, leaked, leakedOfFirst96 }: Overlap): string {
  const list = ({ tasks, distinct }: Overlap['train']) => `${tasks}${distinct < tasks ? ` (${distinct} different)` : ''}`;
  return (
    `${list(train)} training tasks, ${list(test)} test tasks, of which ${leaked} are training tasks too ` +
    `(${leakedOfFirst96} of the first ${Math.min(96, test.tasks)})`
  );
}
