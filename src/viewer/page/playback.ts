import { useEffect, useState } from 'preact/hooks';

/** Speeds to choose from, in steps a second. */
export const SPEEDS = [0.5, 1, 2, 4] as const;

/** A trajectory that can play by itself. */
export interface Playback {
  readonly playing: boolean;
  readonly speed: number;
  readonly toggle: () => void;
  readonly setSpeed: (speed: number) => void;
}

/**
 * Moves from step to step by the clock until the last one.
 * @param key names what is played: another one stops it
 */
export function usePlayback(key: string, step: number, last: number, onStep: (step: number) => void): Playback {
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<number>(1);
  useEffect(() => setPlaying(false), [key]);
  useEffect(() => {
    if (!playing) return;
    if (step >= last) {
      setPlaying(false);
      return;
    }
    const timer = setTimeout(() => onStep(step + 1), 1000 / speed);
    return () => clearTimeout(timer);
  }, [playing, speed, step, last]);
  return {
    playing,
    speed,
    setSpeed,
    toggle: () => {
      if (!playing && step >= last) onStep(0);
      setPlaying(!playing);
    },
  };
}
