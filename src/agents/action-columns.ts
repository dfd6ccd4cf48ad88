import { INVALID, type ActionColumns } from '../data/transitions.js';
import { parseAction } from './grammar.js';

/** Parses an action text into the columns of the transitions, for programs that do not know the grammar. */
export function actionColumns(text: string): ActionColumns {
  const none = { touchX: null, touchY: null, liftX: null, liftY: null, typedText: null };
  const parsed = parseAction(text);
  if ('invalid' in parsed) return { actionType: INVALID, ...none };
  const { action } = parsed;
  if (action.type === 'TYPE') return { actionType: action.type, ...none, typedText: action.text };
  if (action.type !== 'DUAL_POINT') return { actionType: action.type, ...none };
  const [touchY, touchX] = action.touch;
  const [liftY, liftX] = action.lift;
  return { actionType: action.type, touchX, touchY, liftX, liftY, typedText: null };
}
