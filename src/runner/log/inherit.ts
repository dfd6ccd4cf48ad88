import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CommandLog, COMMANDS, type LogLine } from './commands.js';
import { addLine, LOG, logFile, logLines } from './lines.js';

/** Files of the log that a fork has in common with its original: the time of its shards, and what a tracking server has. */
const SHARED = ['shards.jsonl', 'mlflow.json'];

/**
 * Gives a new run the log of the one that it was forked from, since that made its data, and the command that forks.
 * Commands that have not ended stay out: what they do is not in the fork.
 */
export function inheritLog(from: string, to: string): void {
  mkdirSync(join(to, LOG), { recursive: true });
  const lines = logLines<LogLine>(logFile(from, COMMANDS));
  const ended = new Set(lines.filter(({ event }) => event === 'end').map(({ id }) => id));
  for (const line of lines) if (ended.has(line.id)) addLine(logFile(to, COMMANDS), line);
  for (const name of SHARED) if (existsSync(logFile(from, name))) copyFileSync(logFile(from, name), logFile(to, name));
  const own = new CommandLog(to);
  own.begin();
  own.end();
}
