import type { Parameters } from '../graph/index.js';
import { PolicyAgent, type PolicyAgentOptions } from './policy-agent.js';
import type { Policy } from './policy.js';
import type { Decision, Observation } from './rollout.js';

/**
 * An agent whose policy is trained while it acts, and which says of each decision by what version it was made. It has a copy
 * of its own of the policy, that changes between two batches of decisions and never within one.
 */
export class OnlineAgent extends PolicyAgent {
  private staged: { readonly params: Parameters; readonly version: number } | undefined;
  private deciding = false;

  /** @param acting the agent's own copy @param version of what it holds */
  constructor(
    private readonly acting: Policy,
    options: PolicyAgentOptions,
    private version: number,
  ) {
    super(acting, options);
  }

  /** From its next batch on the agent acts by these parameters, which are copied now. */
  publish(params: Parameters, version: number): void {
    this.staged = { params: params.clone(), version };
    if (!this.deciding) this.adopt();
  }

  protected override async decide(
    observations: readonly Observation[],
    vectors: readonly Float32Array[],
  ): Promise<Decision[]> {
    this.deciding = true;
    try {
      const { version } = this;
      const decisions = await super.decide(observations, vectors);
      return decisions.map((decision) => ({ ...decision, version }));
    } finally {
      this.deciding = false;
      this.adopt();
    }
  }

  private adopt(): void {
    if (!this.staged) return;
    this.acting.params.copyFrom(this.staged.params);
    this.version = this.staged.version;
    this.staged = undefined;
  }
}
