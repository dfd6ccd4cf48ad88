import type { Parameters } from '../../graph/index.js';
import { PolicyAgent, type PolicyAgentOptions } from './policy-agent.js';
import type { Policy } from './policy.js';
import type { Decision, Observation } from '../rollout.js';

interface Published {
  readonly params: Parameters;
  readonly version: number;
}

/**
 * An agent whose policy is trained while it acts, and which says of each decision by what version it was made. It has a copy
 * of its own of the policy, that changes between two batches of decisions and never within one.
 */
export class OnlineAgent extends PolicyAgent {
  /** what was published while a batch was being decided */
  private staged: Published | undefined;
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
    if (this.deciding) this.staged = { params: params.clone(), version };
    else this.adopt({ params, version });
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
      if (this.staged) this.adopt(this.staged);
    }
  }

  private adopt({ params, version }: Published): void {
    this.acting.params.copyFrom(params);
    this.version = version;
    this.staged = undefined;
  }
}
