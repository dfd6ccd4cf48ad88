import type { ViewProps } from './app.js';

export function TrainingView({ info }: ViewProps) {
  return <p>{info.name}</p>;
}
