import type { ComponentChildren } from 'preact';
import type { Problem } from '../api.js';

/** Something that is not as it should be, or not there, said where it would have been. */
export function Notice({ kind, children }: { kind: 'problem' | 'empty'; children: ComponentChildren }) {
  return (
    <div class={`notice ${kind}`} role={kind === 'problem' ? 'alert' : 'status'}>
      {children}
    </div>
  );
}

/** What could not be read. */
export function Problems({ problems }: { problems: readonly Problem[] }) {
  if (problems.length === 0) return null;
  return (
    <Notice kind="problem">
      <p>
        <b>
          {problems.length === 1 ? 'One thing' : `${problems.length} things`} could not be read; what is shown is
          without it.
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

/** While the first answer is on its way. */
export function Waiting() {
  return (
    <p class="waiting" role="status">
      Reading…
    </p>
  );
}
