import { existsSync, readdirSync } from 'node:fs';
import { policyColours } from '../../src/report/colours.js';
import type { Evaluation } from '../../src/report/evaluations.js';
import type { Method } from '../../src/report/published.js';
import type { PolicyNote } from '../../src/report/report.js';
import { readPlan, type PlanRecord } from '../../src/runner/outputs.js';
import { policySet, reference } from '../../src/runner/reference.js';
import type { StageContext } from '../../src/runner/stage.js';

interface Described {
  readonly description: string;
  readonly method?: Method;
}

/** The colour of each policy: of those that the run made, and of those evaluated or trained online. */
export function coloursOf(
  ctx: Pick<StageContext<unknown>, 'dataset'>,
  names: Iterable<string>,
): ReadonlyMap<string, number> {
  const folder = ctx.dataset('policy');
  const made = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('.')) : [];
  return policyColours([...made, ...names]);
}

/** Describes each policy of the evaluations by the settings that it was built with. */
export function describePolicies(
  ctx: Pick<StageContext<unknown>, 'dataset'>,
  evaluations: ReadonlyMap<string, Evaluation>,
  colours: ReadonlyMap<string, number>,
): PolicyNote[] {
  const evaluated = [...new Set([...evaluations.values()].map(({ policy }) => policy))];
  return evaluated.map((name) => {
    const [evaluation] = [...evaluations].find(([, { policy }]) => policy === name)!;
    const { description, method } = describe(ctx, name, evaluation);
    return { name, description, method, colour: colours.get(name)! };
  });
}

function describe(ctx: Pick<StageContext<unknown>, 'dataset'>, name: string, evaluation: string): Described {
  if (name.startsWith('served-'))
    return { description: 'A third-party agent behind a server; critiq did not train it.' };
  const plan = readPlan(ctx.dataset(`eval/${evaluation}`));
  const base = /^(.*)\+bestofq(?:\+\+.*)?$/.exec(name)?.[1];
  if (base !== undefined) {
    const samples = section(plan, 'eval').best_of_q;
    return {
      description: `${base} with the critic at test time: in each step it samples ${String(samples ?? 'several')} actions, and takes the one with the highest Q. No further training.`,
    };
  }
  const made = byMaker(readPlan(ctx.dataset(policySet(name))));
  const other = reference(name);
  return other ? { ...made, description: `In the run ${other.run}: ${made.description}` } : made;
}

function byMaker(plan: PlanRecord | undefined): Described {
  if (plan?.stage === 'sft') {
    const checkpoint = plan.settings['models.policy'];
    return {
      description:
        typeof checkpoint === 'string' && checkpoint !== ''
          ? `The checkpoint ${checkpoint}, as it was published.`
          : 'A policy trained from scratch to imitate the demonstrations.',
      method: 'sft',
    };
  }
  if (plan?.stage === 'actor') return byActor(section(plan, 'actor'));
  if (plan?.stage === 'vem') {
    const { from, weights } = section(plan, 'vem');
    const [bad = 0, good = 1] = Array.isArray(weights) ? (weights as number[]) : [];
    return {
      description: `${String(from)}, trained further on its own samples, which the value model rates: weight ${bad} for bad ones, ${good} for good ones (VEM).`,
    };
  }
  if (plan?.stage === 'online') return byOnline(section(plan, 'online'));
  return { description: 'Not built by a stage of this run.' };
}

function byActor({ method, from, loss, n }: Readonly<Record<string, unknown>>): Described {
  const start = `${String(from)}, trained further`;
  if (method === 'filteredbc')
    return { description: `${start} to imitate the collected trajectories that succeeded.`, method };
  switch (loss) {
    case 'best_of_n':
      return {
        description: `${start} to imitate, in each collected state, the best of ${String(n)} sampled actions by the critic.`,
        method: 'digiq',
      };
    case 'pg':
      return { description: `${start} by policy gradient on the actions taken, weighted by the critic’s advantage.` };
    case 'awr':
      return { description: `${start} by advantage-weighted regression on the actions taken.` };
    default:
      return { description: `${start} to imitate all actions taken.` };
  }
}

function byOnline({ mode, algorithm, entropy, from }: Readonly<Record<string, unknown>>): Described {
  const how = algorithm === 'filteredbc' ? 'Filtered BC' : 'DigiRL';
  const bonus = {
    causal: ', with CoSo’s entropy bonus on the tokens that matter',
    naive: ', with an entropy bonus on all tokens',
  }[String(entropy)];
  const data =
    mode === 'offline'
      ? 'the collected trajectories'
      : mode === 'off2on'
        ? 'the collected trajectories, then live episodes'
        : 'live episodes';
  const live = mode === 'online' || mode === 'off2on';
  const method = !live
    ? undefined
    : entropy === 'causal'
      ? 'coso'
      : entropy === 'none' && algorithm === 'digirl'
        ? 'digirl'
        : undefined;
  return { description: `${String(from)}, fine-tuned on ${data} by ${how}${bonus ?? ''}.`, method };
}

/** A section of recorded settings; empty if it was not recorded. */
function section(plan: PlanRecord | undefined, name: string): Readonly<Record<string, unknown>> {
  const found = plan?.settings[name];
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {};
}
