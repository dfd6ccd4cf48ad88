import { inWords } from '../../../agents/action-words.js';
import type { TokenPage } from '../../api.js';
import { ActionTokens } from '../action-tokens.js';
import { changed, go, href } from '../address.js';
import { runPath, useAnswer } from '../answer.js';
import type { ViewProps } from '../view-props.js';
import { useKeys } from '../keyboard.js';
import { Notice, Problems, Waiting } from '../notice.js';
import { Value } from '../numbers.js';
import { PageLinks } from '../page-links.js';

const PAGE = 25;

/** The weights that CoSo's causal model gives to the tokens of actions, and how they change with training. */
export function TokensView({ info, params }: ViewProps) {
  const run = info.name;
  const query = new URLSearchParams({ limit: String(PAGE) });
  for (const name of ['iteration', 'text', 'action', 'offset']) {
    const value = params.get(name);
    if (value !== null) query.set(name, value);
  }
  const set = params.get('of');
  if (set !== null) query.set('set', set);
  const { value, error } = useAnswer<TokenPage>(runPath(run, 'tokens', query));
  const to = (changes: Record<string, string | number | undefined>) =>
    href('tokens', changed(params, { offset: undefined, ...changes }));
  const iterations = value?.iterations ?? [];
  const at = iterations.indexOf(value?.iteration ?? -1);
  useKeys({
    ArrowRight: () => iterations[at + 1] !== undefined && go(to({ iteration: iterations[at + 1] }), { replace: true }),
    ArrowLeft: () => iterations[at - 1] !== undefined && go(to({ iteration: iterations[at - 1] }), { replace: true }),
    '/': () => document.getElementById('filter-text')?.focus(),
  });
  if (error) return <Notice kind="problem">{error}</Notice>;
  if (!value) return <Waiting />;
  if (value.sets.length === 0) return <NoTokens run={run} problems={value.problems} />;
  const action = params.get('action');
  return (
    <div class="tokens">
      <Problems problems={value.problems} />
      <search class="filters" aria-label="Filter token weights">
        <label>
          Online run
          <select
            value={value.set}
            onChange={({ currentTarget }) => go(to({ of: currentTarget.value, iteration: undefined }))}
          >
            {value.sets.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          After iteration
          <select
            value={value.iteration}
            disabled={action !== null}
            onChange={({ currentTarget }) => go(to({ iteration: currentTarget.value }))}
          >
            {iterations.map((iteration) => (
              <option key={iteration} value={iteration}>
                {iteration}
              </option>
            ))}
          </select>
        </label>
        <label class="text">
          Action
          <input
            id="filter-text"
            type="search"
            placeholder="words of the action"
            value={params.get('text') ?? ''}
            disabled={action !== null}
            onInput={({ currentTarget }) => go(to({ text: currentTarget.value }), { replace: true })}
          />
        </label>
        {action !== null && <a href={to({ action: undefined })}>All actions</a>}
      </search>
      <p class="about">
        The stronger the colour of a token, the more the kind of action depends on it. Its weight B is between 0 and 1;
        CoSo raises the policy's entropy in proportion to it.
      </p>
      <div class="beside reversed">
        <section aria-label="Actions">
          <h2>
            {action === null
              ? `Actions after iteration ${value.iteration}`
              : `${inWords(action)}, after every iteration`}{' '}
            <span class="note">({value.total})</span>
          </h2>
          <ul class="weighted">
            {value.rows.map((row) => (
              <li key={`${row.iteration} ${row.phase} ${row.action}`}>
                <ActionTokens row={row} />
                <span class="note">
                  {action === null ? (
                    <>
                      {inWords(row.action)} · {row.phase} · <a href={to({ action: row.action })}>all iterations</a>
                    </>
                  ) : (
                    `after iteration ${row.iteration}, ${row.phase}`
                  )}
                </span>
              </li>
            ))}
          </ul>
          <PageLinks
            total={value.total}
            offset={value.offset}
            size={PAGE}
            to={(offset) => to({ offset: offset || undefined })}
          />
        </section>
        <section aria-labelledby="deciding">
          <h2 id="deciding">Tokens that matter most</h2>
          <div class="scroll">
            <table>
              <caption>by mean weight over these actions</caption>
              <thead>
                <tr>
                  <th scope="col">token</th>
                  <th scope="col">mean B</th>
                  <th scope="col">count</th>
                </tr>
              </thead>
              <tbody>
                {value.top.map(({ token, mean, count }) => (
                  <tr key={token}>
                    <th scope="row">
                      <code>{token === '' ? 'end of text' : JSON.stringify(token)}</code>
                    </th>
                    <td>
                      <Value of={mean} />
                    </td>
                    <td>{count}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      </div>
    </div>
  );
}

function NoTokens({ run, problems }: { run: string; problems: TokenPage['problems'] }) {
  return (
    <>
      <Problems problems={problems} />
      <Notice kind="empty">
        <p>
          <b>{run} has no token weights.</b> They come from CoSo's causal model:{' '}
          <code>critiq online online.entropy=causal run={run}</code> fine-tunes a policy on live devices and stores the
          weights after each iteration.
        </p>
      </Notice>
    </>
  );
}
