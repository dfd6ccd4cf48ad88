import type { Judge } from './judge.js';

/**
 * The exact judge, for a device that knows its own state; of any other device it says `unknown`.
 *
 * @param settings.declare whether the agent must have said STATUS_TASK_COMPLETE on the goal (`required`, the default: to
 *   know that one has arrived is part of the task, and stopping too early or never is what a policy has to unlearn), or the
 *   state at the end counts however the episode ended (`ignored`, nearer to a judge that looks at the last screenshot)
 */
export function stateJudge(settings: { declare: 'required' | 'ignored' } = { declare: 'required' }): Judge {
  return {
    name: 'state',
    async judge({ device, completed }) {
      if (device.achieved === undefined) return 'unknown';
      if (settings.declare === 'required' && !completed) return 'failure';
      return device.achieved() ? 'success' : 'failure';
    },
  };
}
