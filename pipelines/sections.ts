import { z } from 'zod';

/** Sections of the settings that several stages share. */

export const DeviceSettings = z.object({
  backend: z.enum(['phone']).default('phone').describe('what is driven: the embedded phone'),
  count: z.int().min(1).max(1024).default(64).describe('devices at work at the same time'),
  deadline_ms: z.int().min(1).default(30_000).describe('milliseconds a call to a device may take'),
});

export const TaskSettings = z.object({
  set: z
    .enum(['webshop', 'general', 'all'])
    .default('webshop')
    .describe('which tasks of the phone: shops in the browser, settings and clock, or both'),
  max_steps: z
    .int()
    .min(1)
    .default(20)
    .describe('an episode ends after this many actions (10 for AitW General, 20 for Web Shopping; ALGORITHMS §0)'),
  rows: z.int().min(4).max(99).default(24).describe('rows of the grid that demonstrated taps are snapped to'),
  columns: z.int().min(4).max(99).default(12).describe('columns of that grid'),
});

export type DeviceSettings = z.infer<typeof DeviceSettings>;
export type TaskSettings = z.infer<typeof TaskSettings>;
