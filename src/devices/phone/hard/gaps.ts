import type { Random } from '../../../random.js';
import type { HardGoal } from './goal.js';

/**
 * Skills that many people of the hard demonstrations lack: the probability, for each family of tasks, that the person of an
 * episode does something simpler and believes it to be the task. Above one half, the policy that imitates them fails
 * greedily: it has seen the right way, but less often than the wrong one.
 */
export const GAPS: Readonly<Record<string, number>> = {
  // takes the first entry for the cheapest one
  cheapest: 0.62,
  // overlooks the price
  under: 0.58,
  // takes the size in the middle
  size: 0.45,
  // stops after the first of two things
  'buy-two': 0.6,
  // removes what stands first in the cart
  'take-out': 0.58,
  // stops after the first of two switches
  switches: 0.6,
  // leaves the label at mobile
  contact: 0.5,
  // writes the first word alone
  message: 0.25,
  // writes the sender's name instead of the code
  forward: 0.6,
};

/** What a person believes the task to be: the task itself, or something simpler. @param factor scales all gaps */
export function believed(goal: HardGoal, random: Random, factor: number): HardGoal {
  const lacks = (skill: string) => random.chance(Math.min(1, factor * GAPS[skill]));
  switch (goal.kind) {
    case 'cheapest':
    case 'under':
      return lacks(goal.kind) ? { kind: 'first', shop: goal.shop, query: goal.query } : goal;
    case 'buy': {
      const cheapest = goal.cheapest && !lacks('cheapest');
      return { ...goal, cheapest, size: lacks('size') ? 'medium' : goal.size };
    }
    case 'buy-two': {
      const { shop, query, size } = goal;
      return lacks('buy-two') ? { kind: 'buy', shop, query, size, cheapest: false } : goal;
    }
    case 'take-out':
      return lacks('take-out') ? { ...goal, query: goal.cart[0] } : goal;
    case 'switches':
      return lacks('switches') ? { ...goal, second: goal.first, secondOn: goal.firstOn } : goal;
    case 'contact':
      return lacks('contact') ? { ...goal, label: 'mobile' } : goal;
    case 'message':
      return lacks('message') ? { ...goal, message: goal.message.split(' ')[0] } : goal;
    case 'forward':
      return lacks('forward') ? { kind: 'message', to: goal.to, message: goal.from } : goal;
    case 'first':
      return goal;
  }
}
