import type { ViewProps } from './app.js';

export function ActionsView({ info }: ViewProps) {
  return <p>{info.name}</p>;
}
