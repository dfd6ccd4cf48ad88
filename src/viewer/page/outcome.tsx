/** Whether a trajectory succeeded, in a word and a sign. */
export function Outcome({ success, truncated }: { success: boolean; truncated: boolean }) {
  return (
    <span class={`outcome ${success ? 'good' : 'bad'}`}>
      {success ? '✓ success' : truncated ? '✗ out of steps' : '✗ failure'}
    </span>
  );
}
