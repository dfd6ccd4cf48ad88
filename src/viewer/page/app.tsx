import { useEffect, useRef } from 'preact/hooks';
import type { RunInfo, RunList } from '../api.js';
import { ActionsView } from './views/actions.js';
import { changed, go, href, useAddress, VIEWS, type View } from './address.js';
import { runPath, useAnswer } from './answer.js';
import { EvaluationsView } from './views/evaluations.js';
import { KeyboardHelp } from './keyboard-help.js';
import { useKeys } from './keyboard.js';
import { Notice, Waiting } from './notice.js';
import { FILTERS } from './trajectory-filters.js';
import type { ViewProps } from './view-props.js';
import { RunsView } from './views/runs.js';
import { TokensView } from './views/tokens.js';
import { TrainingView } from './views/training.js';
import { TrajectoriesView } from './views/trajectories.js';
import { ValuesView } from './views/values.js';

const TITLES: Readonly<Record<View, string>> = {
  trajectories: 'Trajectories',
  actions: 'Actions',
  training: 'Training',
  values: 'Values',
  tokens: 'Tokens',
  evaluations: 'Evaluations',
  runs: 'Runs',
};

const BODIES: Readonly<Record<View, (props: ViewProps) => preact.ComponentChild>> = {
  trajectories: TrajectoriesView,
  actions: ActionsView,
  training: TrainingView,
  values: ValuesView,
  tokens: TokensView,
  evaluations: EvaluationsView,
  runs: RunsView,
};

/** Parameters of the address that every view keeps. */
const KEPT: readonly string[] = ['run', 'set', 'id', 'step'];
/** Parameters that Trajectories and Actions keep for each other. */
const SHARED: readonly string[] = [...FILTERS, 'offset', 'with', 'sort', 'score', 'score2'];
/** How often the state of the run is refreshed. */
const LOOK_MS = 4000;

export function App() {
  const { view, params } = useAddress();
  const runs = useAnswer<RunList>('/runs');
  const run = params.get('run') ?? runs.value?.first;
  const info = useAnswer<RunInfo>(run === undefined ? undefined : runPath(run), LOOK_MS);
  const help = useRef<HTMLDialogElement>(null);
  const shares = (name: View) => name === 'trajectories' || name === 'actions';
  const keptFor = (name: View) => {
    const names = shares(view) && shares(name) ? [...KEPT, ...SHARED] : KEPT;
    return new URLSearchParams([...params].filter(([param]) => names.includes(param)));
  };
  useKeys({
    '?': () => help.current?.showModal(),
    ...Object.fromEntries(VIEWS.map((name, i) => [String(i + 1), () => go(href(name, keptFor(name)))])),
  });
  // on narrow pages the navigation scrolls
  useEffect(
    () => document.querySelector('nav [aria-current=page]')?.scrollIntoView({ block: 'nearest', inline: 'center' }),
    [view],
  );
  document.title = `${TITLES[view]} · ${run ?? ''} · critiq`;
  const Body = BODIES[view];
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header>
        <span class="brand">critiq</span>
        <label class="run">
          Run
          <select
            value={run}
            onChange={({ currentTarget }) => go(href(view, { run: currentTarget.value }))}
            aria-label="Run"
          >
            {(runs.value?.runs ?? []).map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <nav aria-label="Views">
          {VIEWS.map((name) => (
            <a key={name} href={href(name, keptFor(name))} aria-current={name === view ? 'page' : undefined}>
              {TITLES[name]}
            </a>
          ))}
        </nav>
        <button type="button" class="quiet keys-button" onClick={() => help.current?.showModal()}>
          Keys <kbd>?</kbd>
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        <h1 class="hidden">{TITLES[view]}</h1>
        {info.value?.running && (
          <Notice kind="empty">
            <p>
              <b>critiq {info.value.running}</b> is running in this run. The page shows what it has finished and updates
              itself.
            </p>
          </Notice>
        )}
        {(runs.error ?? info.error) && (
          <Notice kind="problem">
            <p>{runs.error ?? info.error}</p>
          </Notice>
        )}
        {info.value && info.value.name === run ? (
          <Body key={run} info={info.value} runs={runs.value?.runs ?? []} params={changed(params, { run })} />
        ) : (
          !info.error && <Waiting />
        )}
      </main>
      <KeyboardHelp ref={help} />
    </>
  );
}
