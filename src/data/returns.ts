/**
 * Monte Carlo returns of a trajectory, the discounted sums of rewards to its end (docs/algorithms.md §0):
 * `G_t = r_t + gamma G_{t+1}`, `G_T = 0`.
 * @param rewards [T], one per step
 * @returns [T]
 */
export function monteCarloReturns(rewards: ArrayLike<number>, gamma: number): Float64Array {
  const returns = new Float64Array(rewards.length);
  for (let t = rewards.length - 1, next = 0; t >= 0; t--) {
    next = rewards[t] + gamma * next;
    returns[t] = next;
  }
  return returns;
}
