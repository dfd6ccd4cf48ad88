import { RunError } from '../../errors.js';
import type { WebDriverSession } from './client.js';
import type { WebDriverSettings } from './settings.js';

/** Largest video, in bytes of base64. */
const LONGEST_VIDEO = 384 << 20;
/** Longest recording in seconds; the limit of Android's `screenrecord`. */
const LONGEST_SECONDS = 1800;

/** Films a device's own screen by Appium's commands. */
export class FilmedScreen {
  private running = false;

  constructor(private readonly by: Exclude<WebDriverSettings['recording'], 'none'>) {}

  /** @throws CallError; RunError if another recording is running */
  async start(session: WebDriverSession, timeoutMs: number): Promise<void> {
    if (this.by === 'screenrecord') {
      const options = { forceRestart: true, timeLimit: String(LONGEST_SECONDS) };
      await session.post('/appium/start_recording_screen', { options }, timeoutMs);
    } else {
      const args = { maxDurationSec: LONGEST_SECONDS };
      const started = await session.execute('mobile: startMediaProjectionRecording', args, timeoutMs);
      if (started === false) throw new RunError('another recording is already running on the device');
    }
    this.running = true;
  }

  /** @returns an MP4 file @throws CallError, RunError */
  async stop(session: WebDriverSession, timeoutMs: number): Promise<Uint8Array> {
    this.running = false;
    const video =
      this.by === 'screenrecord'
        ? await session.post('/appium/stop_recording_screen', { options: {} }, timeoutMs, LONGEST_VIDEO)
        : await session.execute('mobile: stopMediaProjectionRecording', {}, timeoutMs, LONGEST_VIDEO);
    if (typeof video !== 'string' || video === '') throw new RunError('the device returned no video');
    return Buffer.from(video, 'base64');
  }

  /** Discards a running recording. */
  async drop(session: WebDriverSession, timeoutMs: number): Promise<void> {
    if (!this.running) return;
    await this.stop(session, timeoutMs).catch(() => undefined);
  }
}
