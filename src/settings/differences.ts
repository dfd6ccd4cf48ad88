import type { Difference } from './compose.js';
import { discreetJson } from '../secrets/known.js';

/** Differences to name; the rest is counted. */
const NAMED = 8;

/** What a settings file that is named again changes in a run, and what it does not change, as a short block of lines. */
export function describeDifferences(
  differences: readonly Difference[],
  file: string | undefined,
  run: string,
): string[] {
  if (differences.length === 0) return [];
  const widest = Math.max(...differences.slice(0, NAMED).map(({ path }) => path.length));
  const lines = differences.slice(0, NAMED).map(({ path, before, now, was, used, overridden }) => {
    const says = now === undefined ? 'the file does not have it' : `the file has ${shown(now)}`;
    const what = overridden
      ? `${shown(used)} of an earlier command line; ${says} (--unset ${path} takes it back)`
      : `${shown(was)} -> ${shown(used)}${notes({ before, now, was, used })}`;
    return `  ${path.padEnd(widest)}  ${what}`;
  });
  const more = differences.length - NAMED;
  return [
    `${file} and run ${run} differ:`,
    ...lines,
    ...(more > 0 ? [`  and ${more} more; \`critiq config run=${run}\` shows them`] : []),
  ];
}

/** What the change of a value alone does not say. */
function notes({ before, now, was, used }: Pick<Difference, 'before' | 'now' | 'was' | 'used'>): string {
  const parts = [
    ...(before !== undefined && shown(before) !== shown(was) ? [`the file had ${shown(before)}`] : []),
    ...(now === undefined
      ? ['the file no longer has it']
      : shown(now) === shown(used)
        ? []
        : [`the file has ${shown(now)}`]),
  ];
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

function shown(value: unknown): string {
  const text = discreetJson(value) ?? 'nothing';
  return text.length > 50 ? `${text.slice(0, 47)}...` : text;
}
