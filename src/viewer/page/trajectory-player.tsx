import { useEffect, useRef, useState } from 'preact/hooks';
import { inWords } from '../../agents/action-words.js';
import type { Trajectory } from '../api.js';
import { handle } from './keyboard.js';
import { Outcome } from './outcome.js';
import { SPEEDS, type Playback } from './playback.js';
import { Screenshot } from './screenshot.js';
import { drawingOf, preferred } from './step-card.js';
import { StepRatings } from './step-label.js';
import { StepValues } from './step-values.js';

/** Width of the drawing in its own units, whatever size it is shown at. */
const WIDTH = 360;
const ZOOMS = [1, 1.5, 2, 3] as const;

interface TrajectoryPlayerProps {
  readonly run: string;
  readonly trajectory: Trajectory;
  /** the number of steps for the final screen */
  readonly step: number;
  readonly scale: number;
  readonly playback: Playback;
  readonly onStep: (step: number) => void;
  readonly onClose: () => void;
}

/** A dialog with one screen of the trajectory in full size, to play, step and zoom. */
export function TrajectoryPlayer({ run, trajectory, step, scale, playback, onStep, onClose }: TrajectoryPlayerProps) {
  const { set, id, goal, strip, success, truncated } = trajectory;
  const dialog = useRef<HTMLDialogElement>(null);
  const [zoom, setZoom] = useState<number>(1);
  useEffect(() => dialog.current?.showModal(), []);
  const last = strip.length;
  const shown = strip.at(step);
  const words = shown ? inWords(shown.action) : 'final screen';
  const zoomBy = (by: number) =>
    setZoom(ZOOMS[Math.min(ZOOMS.length - 1, Math.max(0, ZOOMS.indexOf(zoom as (typeof ZOOMS)[number]) + by))]);
  const keys = {
    ArrowRight: () => onStep(Math.min(last, step + 1)),
    ArrowLeft: () => onStep(Math.max(0, step - 1)),
    Home: () => onStep(0),
    End: () => onStep(last),
    ' ': playback.toggle,
    '+': () => zoomBy(1),
    '-': () => zoomBy(-1),
  };
  return (
    <dialog
      class="player"
      ref={dialog}
      aria-labelledby="player-goal"
      onClose={onClose}
      onKeyDown={(event) => {
        // these fields have keys of their own
        if (!(event.target as Element).closest('input, select')) handle(event, keys);
      }}
    >
      <header>
        <h2 id="player-goal">{goal}</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </header>
      <div class="stage" style={{ '--zoom': String(zoom) }} tabIndex={0} role="group" aria-label="Screen">
        <Screenshot
          run={run}
          screen={shown?.screen ?? trajectory.last}
          words={shown ? `screen of step ${step + 1}; action: ${words}` : 'the final screen'}
          width={WIDTH}
          full
          drawn={shown ? drawingOf(shown) : []}
          place={shown && { set, id, step }}
        />
      </div>
      <div class="side">
        <p>
          {shown ? `Step ${step + 1} of ${last}` : 'The end'} <Outcome success={success} truncated={truncated} />
        </p>
        <p class="action" aria-live={playback.playing ? 'off' : 'polite'}>
          <b>{words}</b>
        </p>
        {shown && <StepRatings step={shown} />}
        {shown && <StepValues step={shown} scale={scale} />}
        {shown && preferred(shown) !== undefined && (
          <p class="better">
            <span class="key best" aria-hidden="true" /> best candidate: {inWords(preferred(shown)!)}
          </p>
        )}
      </div>
      <footer>
        <input
          type="range"
          min={0}
          max={last}
          value={step}
          aria-label="Step"
          onInput={({ currentTarget }) => onStep(Number(currentTarget.value))}
        />
        <div class="bar">
          <span role="group" aria-label="Playback">
            <button type="button" onClick={keys.ArrowLeft} disabled={step === 0}>
              ← Back
            </button>{' '}
            <PlayButton playback={playback} autofocus />{' '}
            <button type="button" onClick={keys.ArrowRight} disabled={step === last}>
              Next →
            </button>
          </span>
          <Speed playback={playback} />
          <span role="group" aria-label="Zoom">
            <button type="button" aria-label="Zoom out" onClick={keys['-']} disabled={zoom === ZOOMS[0]}>
              −
            </button>{' '}
            <output>{Math.round(100 * zoom)} %</output>{' '}
            <button type="button" aria-label="Zoom in" onClick={keys['+']} disabled={zoom === ZOOMS.at(-1)}>
              +
            </button>
          </span>
        </div>
      </footer>
    </dialog>
  );
}

export function PlayButton({ playback, autofocus }: { playback: Playback; autofocus?: boolean }) {
  const { playing, toggle } = playback;
  return (
    <button type="button" class="play" onClick={toggle} autofocus={autofocus}>
      {playing ? '❚❚ Pause' : '▶ Play'}
    </button>
  );
}

export function Speed({ playback: { speed, setSpeed } }: { playback: Playback }) {
  return (
    <label>
      Speed
      <select value={speed} onChange={({ currentTarget }) => setSpeed(Number(currentTarget.value))}>
        {SPEEDS.map((one) => (
          <option key={one} value={one}>
            {one}×
          </option>
        ))}
      </select>
    </label>
  );
}
