/** A point on the screen as fractions [y, x] of height and width, from the top left (Auto-UI's order; docs/algorithms.md §0). */
export type Point = readonly [y: number, x: number];

/** An agent's actions on a phone: the action space of Android in the Wild (docs/algorithms.md §0). */
export type Action =
  | { type: 'DUAL_POINT'; touch: Point; lift: Point }
  | { type: 'TYPE'; text: string }
  | { type: 'PRESS_BACK' | 'PRESS_HOME' | 'PRESS_ENTER' | 'STATUS_TASK_COMPLETE' | 'STATUS_TASK_IMPOSSIBLE' };

export type ActionType = Action['type'];

export const ACTION_TYPES: readonly ActionType[] = [
  'DUAL_POINT',
  'TYPE',
  'PRESS_BACK',
  'PRESS_HOME',
  'PRESS_ENTER',
  'STATUS_TASK_COMPLETE',
  'STATUS_TASK_IMPOSSIBLE',
];

/** A dual point is a tap if touch and lift are at most this far apart (Euclidean, in screen fractions), else a swipe. */
export const TAP_DISTANCE = 0.04;

/** Whether the action is a tap: a DUAL_POINT whose touch and lift points are within TAP_DISTANCE. */
export function isTap(action: Action): action is Extract<Action, { type: 'DUAL_POINT' }> {
  if (action.type !== 'DUAL_POINT') return false;
  return Math.hypot(action.touch[0] - action.lift[0], action.touch[1] - action.lift[1]) <= TAP_DISTANCE;
}

/** A tap at a point. */
export function tap(point: Point): Action {
  return { type: 'DUAL_POINT', touch: point, lift: point };
}

/** Whether the agent ends the episode with this action. */
export function endsEpisode(action: Action): boolean {
  return action.type === 'STATUS_TASK_COMPLETE' || action.type === 'STATUS_TASK_IMPOSSIBLE';
}

/** The side to which a finger moves, along the axis on which it moves further; a tie is vertical. The page scrolls the other way. */
export function swipeDirection(touch: Point, lift: Point): 'up' | 'down' | 'left' | 'right' {
  const [dy, dx] = [lift[0] - touch[0], lift[1] - touch[1]];
  if (Math.abs(dx) > Math.abs(dy)) return dx < 0 ? 'left' : 'right';
  return dy < 0 ? 'up' : 'down';
}
