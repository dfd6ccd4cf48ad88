/** The switches of the settings app, in the order of the task vocabulary. */
export const SWITCHES = [
  'wifi',
  'bluetooth',
  'airplane mode',
  'dark mode',
  'location',
  'battery saver',
  'hotspot',
  'mobile data',
  'rotation',
  'sync',
] as const;
export type SwitchName = (typeof SWITCHES)[number];
