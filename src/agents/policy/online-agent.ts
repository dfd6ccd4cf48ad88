import type { Parameters } from '../../graph/index.js';
import { PolicyAgent, type PolicyAgentOptions } from './policy-agent.js';
import type { Policy } from './policy.js';
import type { Decision, Observation } from '../rollout.js';

interface Published {
  readonly params: Parameters;
  readonly version: number;
}

/**
 * An agent whose policy is trained while it acts. Every decision has the version of the policy that made it. The agent acts
 * by its own copy of the policy, which changes only between batches of decisions.
 */
export class OnlineAgent extends PolicyAgent {
  /** parameters published while a batch was being decided */
  private staged: Published | undefined;
  private deciding = false;

  /** @param acting the agent's own copy of the policy @param version of its parameters */
  constructor(
    private readonly acting: Policy,
    options: PolicyAgentOptions,
    private version: number,
  ) {
    super(acting, options);
  }

  /** Copies these parameters; the agent acts by them from its next batch on. */
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
