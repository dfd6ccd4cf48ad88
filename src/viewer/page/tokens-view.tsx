import type { ViewProps } from './app.js';

export function TokensView({ info }: ViewProps) {
  return <p>{info.name}</p>;
}
