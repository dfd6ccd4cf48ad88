import type { Ref } from 'preact';

const KEYS: readonly (readonly [keys: readonly string[], what: string])[] = [
  [['1', '6'], 'go to a view: 1 Trajectories to 6 Evaluations'],
  [['←', '→'], 'the step before, the step after'],
  [['↑', '↓'], 'the trajectory before, the trajectory after'],
  [['Enter'], "from a trajectory's step to its actions, and back"],
  [['/'], 'filter by text'],
  [['?'], 'this list'],
];

/** The list of keys, opened by `?`. */
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
                  <kbd>{key}</kbd>
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
