import type { FilmedEpisode } from './filmed.js';

/** The speed of a film. */
export interface Pace {
  /** seconds for each step */
  readonly seconds: number;
  /** pictures a second while an action is drawn */
  readonly fps: number;
}

/** A picture of a film: its step, the progress of the action, and its duration. */
export interface Shot {
  /** index of the step from 0; the number of steps stands for the ending */
  readonly step: number;
  /** 0: before the action; 1: the action is fully drawn */
  readonly progress: number;
  /** whole milliseconds */
  readonly milliseconds: number;
}

/** Share of a step in which the screen is shown without its action. */
const LEAD = 0.4;
const END_MS = 2500;

/** The pictures of a film in order: each screen, then its action, and the ending. */
export function timeline({ steps }: Pick<FilmedEpisode, 'steps'>, { seconds, fps }: Pace): Shot[] {
  const shots: Shot[] = [];
  const lead = Math.max(1, Math.round(1000 * seconds * LEAD));
  const drawing = Math.max(1, Math.round(1000 * seconds) - lead);
  const pictures = Math.max(1, Math.round((drawing / 1000) * fps));
  for (let step = 0; step < steps.length; step++) {
    shots.push({ step, progress: 0, milliseconds: lead });
    let from = 0;
    for (let i = 1; i <= pictures; i++) {
      const to = Math.round((drawing * i) / pictures);
      shots.push({ step, progress: i / pictures, milliseconds: Math.max(1, to - from) });
      from = to;
    }
  }
  return [...shots, { step: steps.length, progress: 0, milliseconds: END_MS }];
}
