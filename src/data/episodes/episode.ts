import type { Action } from '../action.js';
import type { Frame } from '../formats/frame.js';

/** A UI element's bounding box in fractions of the screen: [top, left, height, width]. */
export type UiBox = readonly [y: number, x: number, height: number, width: number];

/** Parts of a data set, by episode. */
export const SPLITS = ['train', 'val', 'test'] as const;
export type SplitName = (typeof SPLITS)[number];

/** What a file says that an agent did. */
export type SourceAction =
  | { readonly action: Action }
  /** outside of critiq's grammar: its kind, and what the file says, as JSON */
  | { readonly outside: string; readonly said: string };

/** A step of an episode in another project's layout, with coordinates already in critiq's form. */
export interface SourceStep {
  readonly does: SourceAction;
  /** path or name of the screenshot before the action, for messages and `image_path` */
  readonly screen: string;
  /** reads that screenshot; undefined if it is not there */
  readonly picture: () => Promise<Frame | undefined>;
  readonly boxes: readonly UiBox[];
  /** kinds and texts of the boxes; as many as there are boxes, or none */
  readonly boxTypes?: readonly string[];
  readonly boxTexts?: readonly string[];
  /** instruction of this step alone, if the file has one */
  readonly instruction?: string;
}

/** An episode of a file, before its pictures are read. */
export interface SourceEpisode {
  readonly id: string;
  readonly goal: string;
  /** part of the data set that it comes from (`general`, `webshopping`), for rates by part */
  readonly family: string;
  /** undefined: the file does not say */
  readonly split?: SplitName;
  /** whether it reached its goal; undefined: if its last action says so */
  readonly success?: boolean;
  readonly steps: readonly SourceStep[];
  /** the screenshot after the last action, if there is one */
  readonly last?: Pick<SourceStep, 'screen' | 'picture'>;
  /** where it is, for messages: file and position */
  readonly where: string;
}

/** Something in a file that is no episode: damaged or incomplete. It is named and left out. */
export interface Unreadable {
  readonly where: string;
  readonly unreadable: string;
}

/** The episodes of some files, in order. */
export type Source = AsyncIterable<SourceEpisode | Unreadable>;
