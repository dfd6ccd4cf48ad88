/**
 * Policies, critics, and the rollouts that run episodes with them.
 *
 * @module critiq/agents
 */
export { actionColumns } from './action-columns.js';
export { formatAction, formatDecision, parseAction } from './grammar.js';
export { actionsMatch, type Box, type MatchingOptions } from './matching.js';
export {
  rollout,
  EpisodeRefused,
  type Agent,
  type Decision,
  type EpisodePlan,
  type Observation,
  type Rollout,
  type RolloutOptions,
} from './rollout.js';
export { policyPrompt } from './policy/prompt.js';
export { Policy, type Candidate, type DrawOptions, type PolicyState } from './policy/policy.js';
export { PolicyAgent, type PolicyAgentOptions } from './policy/policy-agent.js';
export { Critic, type ValuedState, type Values } from './critic/critic.js';
export { BestOfQ, type BestOfQOptions, type Ranker } from './critic/best-of-q.js';
export type { AnswerReader, InvalidAnswer, ReadAnswer, ReadOptions } from './served/answers/answer.js';
export { pointOf, scrollFrom, swipe } from './served/answers/answer.js';
export { SERVED_FORMATS, type ServedFormat } from './served/formats.js';
export type { ServedTemplate } from './served/template.js';
export type { Representer } from './representers/representer.js';
export type { Asked, EpisodeEnd, Judge, Verdict } from '../judges/judge.js';
