import type { ComponentChildren } from 'preact';
import { counted } from '../../counted.js';
import type { Problem } from '../api.js';

/** A problem, or why something is empty, in the place where it would be. */
export function Notice({ kind, children }: { kind: 'problem' | 'empty'; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`} role={kind === 'problem' ? 'alert' : 'status'}>
      {children}
    </div>
  );
}

/** Everything that could not be read. */
export function Problems({ problems }: { problems: readonly Problem[] }) {
  if (problems.length === 0) return null;
  return (
    <Notice kind="problem">
      <p>
        <b>
          {counted(problems.length, 'item')} could not be read and {problems.length === 1 ? 'is' : 'are'} left out.
        </b>
      </p>
      <ul>
        {problems.map(({ where, message }) => (
          <li key={where + message}>
            <code>{where}</code>: {message}
          </li>
        ))}
      </ul>
    </Notice>
  );
}

/** Stands in until the first answer arrives. */
export function Waiting() {
  return (
    <p class="waiting" role="status">
      Loading…
    </p>
  );
}
