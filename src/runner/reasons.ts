import { counted } from '../counted.js';
import { UserError } from '../errors.js';
import type { Instance } from './instance.js';
import type { PlanRecord } from './outputs.js';
import { covers, SPARE, type Version } from './spare.js';
import type { Shard } from './stage.js';
import { sameExtent, type Work } from './survey.js';
import { TRASH } from './trash.js';

/** One line that says what would be replaced, why, and what to do. */
export function wouldReplace(
  { name, outputs }: Instance,
  whole: ReadonlySet<string>,
  planned: readonly Shard[],
  why: string,
): UserError {
  const ids = new Set(planned.map(({ id }) => id));
  const surplus = [...whole].filter((id) => !ids.has(id)).length;
  const { folder } = outputs[0];
  const rebuilt = whole.size - surplus;
  const what = [
    ...(rebuilt > 0 ? [`rebuild ${counted(rebuilt, 'finished shard')}`] : []),
    ...(surplus > 0 ? [`drop ${counted(surplus, 'finished shard')}`] : []),
  ].join(' and ');
  return new UserError(
    `${name}: this would ${what} in ${folder} (${why}); add --redo to replace the result (the old one is kept in ${TRASH}), use the settings it was built with, or choose another run with run=NAME`,
  );
}

/** What happens to outdated shards: those of the plan are rebuilt, the others removed. */
export function whatHappens(rebuilt: number, removed: number): string {
  if (removed === 0) return `rebuilding ${counted(rebuilt, 'outdated shard')}`;
  if (rebuilt === 0) return `removing ${counted(removed, 'outdated shard')}`;
  return `rebuilding ${rebuilt} and removing ${counted(removed, 'outdated shard')}`;
}

/** What happens to shards that become longer or shorter, and to those beyond the plan. */
export function whatGrows(works: readonly Work[], parked: readonly Version[], why: string): string[] {
  const longer = works.filter(
    ({ how, bases, shard }) => how === 'grow' && !covers(bases[0].extent, shard.extent ?? {}),
  );
  const shorter = works.filter((work) => work.how === 'grow' && !longer.includes(work));
  const back = works.filter(({ how }) => how === 'back');
  return [
    ...(longer.length > 0 ? [`extending ${counted(longer.length, 'finished shard')}${why && `: ${why}`}`] : []),
    ...(shorter.length > 0 ? [`using a part of ${counted(shorter.length, 'finished shard')}${why && `: ${why}`}`] : []),
    ...(back.length > 0 ? [`taking back ${counted(back.length, 'shard')} from ${SPARE}`] : []),
    ...(parked.length > 0
      ? [`keeping ${counted(parked.length, 'shard')} that the plan does not need in ${SPARE}`]
      : []),
  ];
}

/** Settings to name in a log line; the rest is counted. */
const NAMED = 4;

/** Why shards are rebuilt or removed. @param recorded the settings of the last plan */
export function whatChanged(
  instance: Instance,
  recorded: PlanRecord['settings'] | undefined,
  rebuilt: readonly Shard[],
  removed: number,
): string[] {
  const changes = recorded ? differences(recorded, instance.settings, '') : [];
  const more = changes.length - NAMED;
  const named = `${changes.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${counted(more, 'more setting')}` : ''}`;
  const reasons = new Set(changes.length > 0 ? [named] : []);
  for (const shard of rebuilt) {
    const wanted = instance.fingerprints(shard);
    for (const output of instance.outputs) {
      const built = output.fingerprints(shard.id);
      if (!built) continue;
      const sameSettings = built.settings === wanted.settings;
      const extent = output.line(shard.id)?.extent;
      if (built.inputs !== wanted.inputs) reasons.add('inputs changed');
      else if (sameSettings && extent && shard.extent && !sameExtent(extent, shard.extent))
        reasons.add(covers(extent, shard.extent) ? 'no shorter version is kept' : 'there is no state to go on from');
      else if (sameSettings) reasons.add('files are missing or incomplete');
      if (!sameSettings && changes.length === 0) reasons.add('the version of the stage changed');
    }
  }
  const { stage } = instance;
  const before = recorded?.[stage.name] as Record<string, unknown> | undefined;
  const now = instance.settings[stage.name] as Record<string, unknown>;
  for (const [key, reason] of Object.entries(stage.startsOver(instance.config)))
    if (before && JSON.stringify(before[key]) !== JSON.stringify(now[key])) reasons.add(reason);
  if (removed > 0 && changes.length === 0) reasons.add('the plan changed');
  return [...reasons];
}

function differences(a: unknown, b: unknown, path: string): string[] {
  if (JSON.stringify(a) === JSON.stringify(b)) return [];
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a)) {
    const text = (value: unknown): string => (value === undefined ? 'unset' : shortened(JSON.stringify(value)));
    return [`${path} ${text(a)} -> ${text(b)}`];
  }
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
    differences(
      (a as Record<string, unknown>)[key],
      (b as Record<string, unknown>)[key],
      path === '' ? key : `${path}.${key}`,
    ),
  );
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}
