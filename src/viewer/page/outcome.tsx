/** Whether a trajectory succeeded, as a sign and a word. */
export function Outcome({ success, truncated }: { success: boolean; truncated: boolean }) {
  return (
    <span class={`outcome ${success ? 'good' : 'bad'}`}>
      {success ? '✓ success' : truncated ? '✗ out of steps' : '✗ failure'}
    </span>
  );
}
