import type { ViewProps } from './app.js';

export function ValuesView({ info }: ViewProps) {
  return <p>{info.name}</p>;
}
