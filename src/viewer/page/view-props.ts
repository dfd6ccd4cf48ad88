import type { RunInfo } from '../api.js';

/** What each view is given. */
export interface ViewProps {
  readonly info: RunInfo;
  readonly runs: readonly string[];
  readonly params: URLSearchParams;
}
