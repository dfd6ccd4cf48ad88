import type { MetricsLine } from '../../../data/metrics.js';
import { fitInWords, fitOf } from '../../../report/verdicts.js';
import { changed, go, href } from '../address.js';
import type { ViewProps } from '../view-props.js';
import { CurvePlot } from '../charts/curve.js';
import { useMetrics } from '../metrics.js';
import { Notice, Waiting } from '../notice.js';
import { overlays } from '../overlay.js';

/** Most runs to overlay. */
const MOST_RUNS = 6;

/** The metrics of every stage as curves, of one run or several; they grow while a stage writes. */
export function TrainingView({ info, runs, params }: ViewProps) {
  const also = (params.get('also') ?? '').split(',').filter((name) => name !== info.name && runs.includes(name));
  const shown = [info.name, ...also].slice(0, MOST_RUNS);
  const { metrics, error, loading } = useMetrics(shown);
  const smoothing = Math.min(0.99, Math.max(0, Number(params.get('smooth') ?? 0) || 0));
  const logarithmic = params.get('scale') === 'log';
  const set = (changes: Record<string, string | undefined>): void =>
    go(href('training', changed(params, changes)), { replace: true });
  const instances = [...new Set(metrics.map(({ instance }) => instance))];
  const toggle = (name: string, on: boolean): void => {
    const others = on ? [...also, name] : also.filter((one) => one !== name);
    set({ also: others.join(',') || undefined });
  };
  return (
    <div class="training">
      <div class="bar">
        <label>
          Smoothing
          <input
            type="range"
            min="0"
            max="0.99"
            step="0.01"
            value={smoothing}
            onInput={({ currentTarget }) =>
              set({ smooth: currentTarget.value === '0' ? undefined : currentTarget.value })
            }
          />
          <output>{smoothing.toFixed(2)}</output>
        </label>
        <label>
          <input
            type="checkbox"
            checked={logarithmic}
            onChange={({ currentTarget }) => set({ scale: currentTarget.checked ? 'log' : undefined })}
          />
          logarithmic scale
        </label>
        {runs.length > 1 && (
          <fieldset class="runs">
            <legend>Compare with</legend>
            {runs
              .filter((name) => name !== info.name)
              .map((name) => (
                <label key={name}>
                  <input
                    type="checkbox"
                    checked={also.includes(name)}
                    disabled={!also.includes(name) && shown.length >= MOST_RUNS}
                    onChange={({ currentTarget }) => toggle(name, currentTarget.checked)}
                  />
                  {name}
                </label>
              ))}
          </fieldset>
        )}
      </div>
      {error && <Notice kind="problem">{error}</Notice>}
      {loading && metrics.length === 0 && <Waiting />}
      {!loading && metrics.length === 0 && !error && (
        <Notice kind="empty">
          <p>
            <b>No stage of {info.name} has written metrics yet.</b> <code>sft</code>, <code>vlm</code>,{' '}
            <code>critic</code>, <code>actor</code> and <code>online</code> write them; their curves appear here while
            they run.
          </p>
        </Notice>
      )}
      {instances.map((instance) => (
        <section key={instance} aria-labelledby={`stage-${instance}`}>
          <h2 id={`stage-${instance}`}>
            {instance}
            {info.running === instance && <span class="running"> running</span>}
          </h2>
          {metrics
            .filter((one) => one.instance === instance)
            .map(({ run, lines }) => (
              <FitVerdict key={run} name={shown.length > 1 ? `${instance} in run ${run}` : instance} lines={lines} />
            ))}
          <div class="curves">
            {overlays(metrics.filter((one) => one.instance === instance)).map((overlay) => (
              <CurvePlot key={overlay.title} {...{ overlay, runs: shown, smoothing, logarithmic }} />
            ))}
          </div>
        </section>
      ))}
    </div>
  );
}

/** Whether a stage overfits, where its validation losses tell. */
function FitVerdict({ name, lines }: { name: string; lines: readonly MetricsLine[] }) {
  const fit = fitOf(lines);
  return fit ? <p class={`verdict ${fit.kind === 'fine' ? 'fine' : 'poor'}`}>{fitInWords(name, fit)}</p> : null;
}
