import type { Ref } from 'preact';

const KEYS: readonly (readonly [keys: readonly string[], what: string])[] = [
  [['1', '…', '7'], 'go to a view, from 1 Trajectories to 7 Runs'],
  [['←', '→'], 'previous and next step; on Tokens, previous and next iteration'],
  [['Home', 'End'], 'first and last step'],
  [['↑', '↓'], 'previous and next trajectory'],
  [['Enter'], 'from a step of a trajectory to its actions, and back'],
  [['Space'], 'play or pause a trajectory'],
  [['z'], 'enlarge a trajectory; then + and − zoom, Escape closes'],
  [['/'], 'filter by text'],
  [['?'], 'this list'],
];

/** The list of keys; `?` opens it. */
export function KeyboardHelp({ ref }: { ref: Ref<HTMLDialogElement> }) {
  return (
    <dialog ref={ref} aria-labelledby="keys">
      <h2 id="keys">Keys</h2>
      <dl class="keys">
        {KEYS.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.map((key, i) => (
                <>
                  {i > 0 && ' '}
                  {key === '…' ? key : <kbd>{key}</kbd>}
                </>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button>Close</button>
      </form>
    </dialog>
  );
}
