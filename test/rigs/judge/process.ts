/** Judges screens of some shades as a process of its own: `node judge-process.js URL FOLDER SHADE...`; prints the verdicts. */
import { end, judgeAt } from './settings.js';
import type { JudgeServer } from './server.js';

const [url, folder, ...shades] = process.argv.slice(2);
const { judge } = judgeAt({ url } as JudgeServer, folder);
const verdicts = await Promise.all(shades.map((shade) => judge.judge(end(Number(shade)))));
process.stdout.write(verdicts.join(' '));
