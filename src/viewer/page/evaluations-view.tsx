import type { ViewProps } from './app.js';

export function EvaluationsView({ info }: ViewProps) {
  return <p>{info.name}</p>;
}
