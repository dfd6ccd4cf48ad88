import { tap, type Action } from '../../data/action.js';
import { quote, type AnswerReader, type ReadOptions } from './answers/answer.js';
import { readCogAgent } from './answers/cogagent.js';
import { formatDecision, parseAction } from '../grammar.js';
import { readMobileUse } from './answers/mobile-use.js';
import type { ServedTemplate } from './template.js';
import { readUiTars } from './answers/ui-tars.js';

/** How a family of models is prompted, how its answers are read, and the settings that belong to it. */
export interface ServedFormat {
  readonly read: AnswerReader;
  readonly template: ServedTemplate;
  /** the template for models whose coordinates are thousandths, if it differs */
  readonly thousandths?: ServedTemplate;
  readonly coordinates: ReadOptions['coordinates'];
  readonly scroll: ReadOptions['scroll'];
  /** whether the picture is resized to whole patches, as the model's own preprocessing would do */
  readonly patches: boolean;
  /** number of past screens in the prompt */
  readonly pastScreens: number;
  /** whether typed text is also submitted */
  readonly enter: boolean;
}

/** Auto-UI's own text (grammar.ts), anywhere in an answer. */
const readAutoUi: AnswerReader = (answer) => {
  const at = answer.indexOf('Action Plan:');
  if (at < 0) return { invalid: `no "Action Plan:" in ${quote(answer)}` };
  const text = answer.slice(at).split('\n')[0];
  const parsed = parseAction(text.replace(/```$/, ''));
  if ('invalid' in parsed) return parsed;
  return { actions: [parsed.action], operation: formatDecision(parsed.action), summary: answer.slice(0, at).trim() };
};

const example = (action: Action): string => `Action Plan: [${action.type}]; Action Decision: ${formatDecision(action)}`;

const AUTO_UI: ServedTemplate = {
  system: `You operate a phone by its touch screen to reach a goal. You see a screenshot and say the next action, as one line:
${example(tap([0.25, 0.5]))}
Points are [y, x] as fractions of the height and width of the screen, from the top left, with four decimals. The action types are:
- DUAL_POINT: a finger touches at touch_point and lifts at lift_point; the same point twice is a tap, two points are a swipe
- TYPE: types typed_text into the field that has the focus (tap it first)
- PRESS_BACK, PRESS_HOME, PRESS_ENTER: the keys of these names; PRESS_ENTER submits what was typed
- STATUS_TASK_COMPLETE: the goal is reached
- STATUS_TASK_IMPOSSIBLE: it cannot be reached
Where a field of the line is not used it is "[-1.0, -1.0]" for points and "" for typed_text. The line comes last in your answer.`,
  user: `Goal: {task}
Actions so far:{history}
{screenshot}`,
  step: '\n{number}. {operation}',
  none: ' none',
};

/** The query of CogAgent's Android client (app_for_android/client_for_android.py, `formatting_input`). */
const COGAGENT: ServedTemplate = {
  user: 'Task: {task}\nHistory steps: {history}\n(Platform: Mobile)\n(Answer in Action-Operation-Sensitive format.)\n{screenshot}',
  step: '\n{index}. {operation}\t{summary}',
};

/** @param unit how points are measured */
const mobileUseParameters = (unit: string) => ({
  type: 'object',
  required: ['action'],
  properties: {
    action: {
      type: 'string',
      enum: ['click', 'swipe', 'type', 'system_button', 'wait', 'terminate'],
      description:
        'What to do: `click` taps at coordinate; `swipe` moves a finger from coordinate to coordinate2; `type` enters text into the field that has the focus; `system_button` presses a button of the phone; `wait` lets time pass; `terminate` ends the task and says its status.',
    },
    coordinate: { type: 'array', description: `[x, y] ${unit} from the top left; for click and swipe.` },
    coordinate2: { type: 'array', description: `[x, y] ${unit} from the top left; for swipe.` },
    text: { type: 'string', description: 'For type.' },
    button: { type: 'string', enum: ['Back', 'Home', 'Enter'], description: 'For system_button.' },
    time: { type: 'number', description: 'Seconds; for wait.' },
    status: { type: 'string', enum: ['success', 'failure'], description: 'For terminate.' },
  },
});

/**
 * The prompt of Qwen's cookbook (mobile_agent.ipynb): a function in the system prompt, past calls in the query.
 * @param screen how large the screen is
 * @param unit how points are measured
 */
const mobileUse = (screen: string, unit: string): ServedTemplate => ({
  system: `You are a helpful assistant.

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "mobile_use", "description": "Operate a phone by its touch screen and look at screenshots of it. The screen is ${screen}. Click in the middle of what is meant. An app may take time to start: look again before acting twice.", "parameters": ${JSON.stringify(mobileUseParameters(unit))}}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>`,
  user: `The user query: {task}
Task progress (You have done the following operation on the current device): {history}
{screenshot}`,
  step: 'Step {number}: {operation}; ',
});

/** Modelled on UI-TARS's mobile prompt (codes/ui_tars/prompt.py); past answers are separate turns. */
const UI_TARS: ServedTemplate = {
  user: `You are a GUI agent. You get a task, what you have done so far, and screenshots, and say the next action that brings the task forward.
## Output Format
Thought: ...
Action: ...

## Action Space
click(start_box='(x1,y1)')
type(content='') # a "\\n" at the end of content submits it
scroll(start_box='(x1,y1)', direction='down or up or right or left')
drag(start_box='(x1,y1)', end_box='(x3,y3)')
press_home()
press_back()
wait()
finished(content='') # the task is done
call_user() # the task cannot be done

## Note
- Use English in the \`Thought\` part.
- Write a small plan there, and the next action with its target in one sentence at its end.

## User Instruction
{task}`,
  turns: true,
};

/** The families of models that can be evaluated. Settings can override each field. */
export const SERVED_FORMATS = {
  autoui: servedFormat({ read: readAutoUi, template: AUTO_UI }),
  cogagent: servedFormat({
    read: readCogAgent,
    template: COGAGENT,
    coordinates: 'thousandths',
    scroll: 'finger',
    enter: true,
  }),
  // Qwen3-VL is told a screen of 1000 x 1000, whatever the picture's size
  mobile_use: servedFormat({
    read: readMobileUse,
    template: mobileUse('{screen.width}x{screen.height} pixels', 'in pixels'),
    thousandths: mobileUse('1000x1000', 'from 0 to 1000'),
    patches: true,
  }),
  // "all texts and the most recent 5 images", one of which is the current screen
  ui_tars: servedFormat({ read: readUiTars, template: UI_TARS, patches: true, pastScreens: 4 }),
} as const;

export type ServedFormatName = keyof typeof SERVED_FORMATS;

/** A format with critiq's defaults for what it leaves out. */
export function servedFormat(own: Pick<ServedFormat, 'read' | 'template'> & Partial<ServedFormat>): ServedFormat {
  return { coordinates: 'pixels', scroll: 'content', patches: false, pastScreens: 0, enter: false, ...own };
}
