import { useEffect, useRef } from 'preact/hooks';
import { inWords } from '../../agents/action-words.js';
import type { Trajectory } from '../api.js';
import { Screenshot } from './screenshot.js';

/** Width of a thumbnail in CSS pixels. */
const WIDTH = 36;

interface StepPickerProps {
  readonly run: string;
  readonly trajectory: Trajectory;
  readonly step: number;
  readonly to: (step: number) => string;
}

/** The steps of a trajectory as a row of small screens to choose from. */
export function StepPicker({ run, trajectory, step, to }: StepPickerProps) {
  const { set, id, strip } = trajectory;
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    const row = list.current;
    const item = row?.children[step] as HTMLElement | undefined;
    if (row && item) row.scrollTo({ left: item.offsetLeft - (row.clientWidth - item.offsetWidth) / 2 });
  }, [step, set, id]);
  return (
    <ol class="steps" ref={list} aria-label="Steps">
      {strip.map((one) => {
        const words = `step ${one.step + 1}: ${inWords(one.action)}`;
        return (
          <li key={one.step}>
            <a
              href={to(one.step)}
              title={words}
              aria-label={words}
              aria-current={one.step === step ? 'step' : undefined}
            >
              <Screenshot run={run} screen={one.screen} words="" width={WIDTH} place={{ set, id, step: one.step }} />
              {one.step + 1}
            </a>
          </li>
        );
      })}
    </ol>
  );
}
