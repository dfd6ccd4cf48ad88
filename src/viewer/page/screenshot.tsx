import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Failure, Screen } from '../api.js';
import { drawGesture, touchPoint } from '../../report/gesture.js';
import { runPath } from './answer.js';

/** An action to draw on a screenshot. */
export interface Drawn {
  readonly action: string;
  /** `taken`: a cross or an arrow; `best`: a ring or an arrow */
  readonly kind: 'taken' | 'best';
  /** CSS colour; the kind's own by default */
  readonly colour?: string;
  /** draws a numbered disc instead of the cross or ring */
  readonly label?: number;
}

interface ScreenshotProps {
  readonly run: string;
  readonly screen: Screen;
  /** text alternative; empty for decoration */
  readonly words: string;
  /** width in CSS pixels at which drawn strokes have their normal size */
  readonly width: number;
  readonly full?: boolean;
  readonly drawn?: readonly Drawn[];
  /** the step of the trajectory, to find imported screenshots */
  readonly place?: { readonly set: string; readonly id: string; readonly step: number };
  readonly children?: ComponentChildren;
}

/** A screenshot with actions drawn on it; if it is missing, the reason. */
export function Screenshot({ run, screen, words, width, full, drawn = [], place, children }: ScreenshotProps) {
  const url = urlOf(run, screen, full ? 'full' : 'small', place);
  const [failed, setFailed] = useState<string>();
  const [shape, setShape] = useState<{ width: number; height: number }>();
  useEffect(() => setFailed(undefined), [url]);
  if (url === undefined)
    return <Missing why="The data set has no screenshot of this step; it may have only its vector." />;
  if (failed === url) return <Missing url={url} />;
  const height = shape ? (width * shape.height) / shape.width : undefined;
  return (
    <div class="screen">
      <img
        src={url}
        alt={words}
        loading="lazy"
        decoding="async"
        onLoad={({ currentTarget }) =>
          setShape({ width: currentTarget.naturalWidth, height: currentTarget.naturalHeight })
        }
        onError={() => setFailed(url)}
      />
      {height !== undefined && (
        <svg class="drawing" viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
          {drawn.map((one) => (
            <Drawing key={one.kind + one.action} of={one} width={width} height={height} />
          ))}
        </svg>
      )}
      {children}
    </div>
  );
}

/** One action, as strokes or as a numbered disc where it touches. */
function Drawing({ of: { action, kind, colour, label }, width, height }: { of: Drawn; width: number; height: number }) {
  const at = label === undefined ? undefined : touchPoint(action, width, height);
  // drawGesture makes it from numbers alone
  const strokes = { __html: drawGesture(action, width, height, kind)?.text ?? '' };
  const style = colour === undefined ? undefined : { '--stroke': colour };
  if (!at) return <g style={style} dangerouslySetInnerHTML={strokes} />;
  return (
    <g class={`numbered ${kind}`} style={style}>
      {at.swipe && <g dangerouslySetInnerHTML={strokes} />}
      <circle cx={at.x} cy={at.y} r={kind === 'taken' ? 12 : 10} />
      <text x={at.x} y={at.y} dy="0.36em">
        {label}
      </text>
    </g>
  );
}

/** Takes the place of a missing screenshot and gives the server's reason. */
function Missing({ url, why }: { url?: string; why?: string }) {
  const [reason, setReason] = useState(why);
  useEffect(() => {
    if (url === undefined) return;
    const controller = new AbortController();
    fetch(url, { signal: controller.signal }).then(
      async (response) =>
        setReason(response.ok ? 'The screenshot is damaged.' : ((await response.json()) as Failure).error),
      () => setReason('The screenshot could not be loaded.'),
    );
    return () => controller.abort();
  }, [url]);
  return (
    <div class="screen missing" role="img" aria-label={`no screenshot: ${reason ?? ''}`}>
      <p>
        <b>No screenshot</b>
      </p>
      <p class="why">{reason}</p>
    </div>
  );
}

function urlOf(
  run: string,
  screen: Screen,
  size: 'small' | 'full',
  place: ScreenshotProps['place'],
): string | undefined {
  if (screen.kind === 'stored') return `/api${runPath(run, `images/${screen.id}`)}?size=${size}`;
  if (screen.kind === 'none' || !place) return undefined;
  const params = new URLSearchParams({ set: place.set, id: place.id, step: String(place.step), size });
  return `/api${runPath(run, 'screen', params)}`;
}
