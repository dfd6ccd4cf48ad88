export { Phone, createPhones, type PhoneSettings } from './phone.js';
export {
  phoneTasks,
  wordings,
  FAMILIES,
  PHONE_PUNCTUATION,
  PHONE_WORDS,
  HARD_WORDS,
  TEST_TASKS,
  type TaskSet,
} from './tasks.js';
export {
  demonstrator,
  DEFAULT_HABITS,
  type Demonstrator,
  type DemonstratorSettings,
  type Fault,
  type Habits,
} from './demonstrator.js';
export { expert } from './expert.js';
export { Remaining } from './remaining.js';
export { servePhone } from './play.js';
export { DEFAULT_GRID, gridPoint, SCREEN, type Grid, type Rect } from './geometry.js';
export { DEFAULT_SURPRISES, type Surprises } from './world.js';
export { COLOURS, goods, SHOP_FIRST, SHOP_SECOND, shopAddresses, type Split } from './words.js';
export { goalOf, type Goal } from './goal.js';
export { checkPhoneTasks } from './task-list.js';
export { elementAt, type Element, type View } from './element.js';
