import { RunError } from '../../errors.js';
import type { WebDriverSession } from './client.js';
import type { WebDriverSettings } from './settings.js';

/** Largest video that is taken, in bytes of base64. */
const LONGEST_VIDEO = 384 << 20;
/** Seconds that a device films at most; what `screenrecord` of Android can do. */
const LONGEST_SECONDS = 1800;

/** A device that films its own screen by a command of Appium's. */
export class FilmedScreen {
  private running = false;

  constructor(private readonly by: Exclude<WebDriverSettings['recording'], 'none'>) {}

  /** @throws CallError, RunError where something else films already */
  async start(session: WebDriverSession, timeoutMs: number): Promise<void> {
    if (this.by === 'screenrecord') {
      const options = { forceRestart: true, timeLimit: String(LONGEST_SECONDS) };
      await session.post('/appium/start_recording_screen', { options }, timeoutMs);
    } else {
      const args = { maxDurationSec: LONGEST_SECONDS };
      const started = await session.execute('mobile: startMediaProjectionRecording', args, timeoutMs);
      if (started === false) throw new RunError('the device is being filmed by someone else');
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
    if (typeof video !== 'string' || video === '') throw new RunError('the device has no video to give');
    return Buffer.from(video, 'base64');
  }

  /** End a recording that nobody wants. */
  async drop(session: WebDriverSession, timeoutMs: number): Promise<void> {
    if (!this.running) return;
    await this.stop(session, timeoutMs).catch(() => undefined);
  }
}
