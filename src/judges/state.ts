import type { Asked, Judge } from './judge.js';

export interface StateJudgeSettings {
  /**
   * whether the agent must have said STATUS_TASK_COMPLETE on the goal (`required`, the default: to know that one has
   * arrived is part of the task, and stopping too early or never is what a policy has to unlearn), or the state counts
   * however the episode ended (`ignored`, nearer to a judge that looks at the last screenshot)
   */
  readonly declare: 'required' | 'ignored';
  readonly asked?: Asked;
}

/** The exact judge, for a device that knows its own state; of any other device it says `unknown`. */
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
