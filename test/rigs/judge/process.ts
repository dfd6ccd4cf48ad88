/** Judges screens of the given shades in a process of its own and prints the verdicts: `node process.js URL FOLDER SHADE...`. */
import { end, judgeAt } from './settings.js';
import type { JudgeServer } from './server.js';

const [url, folder, ...shades] = process.argv.slice(2);
const { judge } = judgeAt({ url } as JudgeServer, folder);
const verdicts = await Promise.all(shades.map((shade) => judge.judge(end(Number(shade)))));
process.stdout.write(verdicts.join(' '));
