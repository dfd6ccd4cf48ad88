import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Failure, Screen } from '../api.js';
import { drawGesture } from '../../report/gesture.js';
import { runPath } from './answer.js';

/** An action to draw over a screenshot. */
export interface Drawn {
  readonly action: string;
  /** `taken`: a cross or arrow; `best`: an empty circle or arrow */
  readonly kind: 'taken' | 'best';
  /** CSS colour; the kind's own by default */
  readonly colour?: string;
}

interface ScreenshotProps {
  readonly run: string;
  readonly screen: Screen;
  /** what it shows, in words */
  readonly words: string;
  /** pixels of the page; strokes of drawn actions are as wide at any size */
  readonly width: number;
  readonly full?: boolean;
  readonly drawn?: readonly Drawn[];
  /** the step of a trajectory, where imported screenshots are asked for */
  readonly place?: { readonly set: string; readonly id: string; readonly step: number };
  readonly children?: ComponentChildren;
}

/** A screenshot with actions drawn on it, or, where it is not there, why. */
export function Screenshot({ run, screen, words, width, full, drawn = [], place, children }: ScreenshotProps) {
  const url = urlOf(run, screen, full ? 'full' : 'small', place);
  const [failed, setFailed] = useState<string>();
  const [shape, setShape] = useState<{ width: number; height: number }>();
  useEffect(() => setFailed(undefined), [url]);
  if (url === undefined) return <Missing why="The data set has no screenshot of this, perhaps only its vector." />;
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
          {drawn.map(({ action, kind, colour }) => (
            <g
              key={kind + action}
              style={colour === undefined ? undefined : { '--stroke': colour }}
              // drawGesture makes it from numbers alone
              dangerouslySetInnerHTML={{ __html: drawGesture(action, width, height, kind)?.text ?? '' }}
            />
          ))}
        </svg>
      )}
      {children}
    </div>
  );
}

/** In the place of a screenshot: what the server says of it. */
function Missing({ url, why }: { url?: string; why?: string }) {
  const [said, setSaid] = useState(why);
  useEffect(() => {
    if (url === undefined) return;
    const controller = new AbortController();
    fetch(url, { signal: controller.signal }).then(
      async (response) =>
        setSaid(response.ok ? 'The screenshot is damaged.' : ((await response.json()) as Failure).error),
      () => setSaid('The screenshot could not be loaded.'),
    );
    return () => controller.abort();
  }, [url]);
  return (
    <div class="screen missing" role="img" aria-label={`no screenshot: ${said ?? ''}`}>
      <p>
        <b>No screenshot</b>
      </p>
      <p class="why">{said}</p>
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
