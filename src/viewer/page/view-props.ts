import type { RunInfo } from '../api.js';

/** The properties of every view. */
export interface ViewProps {
  readonly info: RunInfo;
  readonly runs: readonly string[];
  readonly params: URLSearchParams;
}
