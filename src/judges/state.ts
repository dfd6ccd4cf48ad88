import type { Asked, Judge } from './judge.js';

export interface StateJudgeSettings {
  /**
   * `required` (the default): the agent must declare STATUS_TASK_COMPLETE at the goal. To know that the task is done is
   * part of the task, and a policy has to unlearn stopping too early or never.
   * `ignored`: only the state counts, however the episode ended, as with a judge that looks at the last screenshot.
   */
  readonly declare: 'required' | 'ignored';
  readonly asked?: Asked;
}

/** The exact judge, for devices that know their own state; its verdict on any other device is `unknown`. */
export function stateJudge({ declare, asked = 'end' }: StateJudgeSettings = { declare: 'required' }): Judge {
  return {
    name: 'state',
    asked,
    async judge({ device, completed }) {
      if (device.achieved === undefined) return 'unknown';
      if (declare === 'required' && !completed) return 'failure';
      const achieved = device.achieved();
      if (achieved === undefined) return 'unknown';
      return achieved ? 'success' : 'failure';
    },
  };
}
