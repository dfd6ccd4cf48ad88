import { UserError } from '../../errors.js';
import { keepSecret } from '../../secrets/known.js';
import { machineClock } from '../pool/clock.js';
import { WebDriverClient, type ServerStatus, type WebDriverSession } from './client.js';
import { DeviceLeases, type DeviceLease } from './leases.js';
import { SessionRecords } from './records.js';
import type { WebDriverSettings } from './settings.js';
import { differsBySlot, filled, type Substitutes } from './template.js';
import { WebDriverDevice } from './webdriver.js';

/** URLs of servers that have answered this process; one that goes away later is a fault, one that never answered a mistake. */
const known = new Set<string>();

interface FleetOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly leases?: DeviceLeases;
  readonly records?: SessionRecords;
}

/** The devices of one server: their shared settings, and which session has which device. */
export class WebDriverFleet {
  private readonly client: WebDriverClient;
  /** what templates are filled from, besides the device and the episode */
  private readonly context: { readonly env: NodeJS.ProcessEnv };
  private readonly leases: DeviceLeases;
  private readonly records: SessionRecords;
  /** the cleanup of sessions that killed processes of ours have left at the server; done once */
  private cleaned: Promise<void> | undefined;

  /** @throws UserError if the settings cannot work */
  constructor(
    readonly settings: WebDriverSettings,
    { env = process.env, leases = new DeviceLeases(), records = new SessionRecords() }: FleetOptions = {},
  ) {
    const { url, user_env: user, key_env: key, read_retries: retries, reset, snapshot } = settings;
    this.context = { env };
    this.leases = leases;
    this.records = records;
    if (reset === 'snapshot' && snapshot === '') {
      throw new UserError('device.webdriver.reset=snapshot: set device.webdriver.snapshot to the name of a snapshot');
    }
    if (key !== '' && user === '')
      throw new UserError('device.webdriver.key_env is set, but user_env is not; set device.webdriver.user_env too');
    const variable = (setting: string, name: string): string => {
      const value = env[name];
      if (!value) throw new UserError(`device.webdriver.${setting}: the environment variable ${name} is not set`);
      return value;
    };
    let authorization: string | undefined;
    if (user !== '') {
      const [name, password] = [variable('user_env', user), key === '' ? '' : variable('key_env', key)];
      const basic = Buffer.from(`${name}:${password}`, 'utf8').toString('base64');
      for (const secret of [password, basic]) keepSecret(secret);
      authorization = `Basic ${basic}`;
    }
    this.client = new WebDriverClient(url, authorization, retries);
    // report missing variables now, not at the first device
    this.capabilities({ slot: 0, udid: settings.udids.at(0) });
  }

  /** The server's status. @throws UserError if the server has never answered; CallError if it no longer answers */
  async status(): Promise<ServerStatus> {
    const { url, server_ms: waitMs } = this.settings;
    const status = await this.client.whenThere(waitMs, known.has(url));
    known.add(url);
    return status;
  }

  /**
   * Opens a device: a session and a first screenshot.
   * @throws CallError, RunError; UserError for mistakes in the settings; LockedError if another critiq uses the device
   */
  async open(slot: number): Promise<WebDriverDevice> {
    const { settings } = this;
    const { single } = await this.status();
    this.cleaned ??= this.clean();
    await this.cleaned;
    const lease = this.lease(slot, single);
    const substitutes: Substitutes = { slot, udid: lease.udid };
    const capabilities = this.capabilities(substitutes);
    const use = { requesting: false, closed: false, released: false };
    const free = (): void => {
      if (!use.closed || use.requesting || use.released) return;
      use.released = true;
      lease.release();
    };
    /** A session on this device. A request that is not answered in time keeps the lease until it is answered. */
    const newSession = async (timeoutMs: number): Promise<WebDriverSession> => {
      use.requesting = true;
      const session = await this.client.newSession(capabilities, Math.min(timeoutMs, settings.session_ms), () => {
        use.requesting = false;
        free();
      });
      try {
        const record = this.records.keep(settings.url, session.id);
        void session.gone.then((answered) => answered && record.forget());
      } catch (error) {
        await session.end();
        throw error;
      }
      return session;
    };
    const release = (): void => {
      use.closed = true;
      free();
    };
    const fill = <T>(template: T, where: string, episode?: Substitutes['episode']): T =>
      filled(template, `device.webdriver.${where}`, { ...substitutes, episode }, this.context);
    const device = new WebDriverDevice(`webdriver-${lease.udid ?? slot}`, settings, { newSession, release, fill });
    const end = machineClock.now() + settings.session_ms + settings.ready_ms;
    try {
      await device.begin(() => end - machineClock.now());
    } catch (error) {
      await device.close();
      throw error;
    }
    return device;
  }

  private async clean(): Promise<void> {
    const { url } = this.settings;
    const orphans = this.records.orphans(url);
    await Promise.all(
      orphans.map(async ({ id, forget }) => {
        if (await this.client.endSession(id)) forget();
      }),
    );
  }

  private lease(slot: number, single: boolean): DeviceLease {
    const { udids, url, capabilities: template } = this.settings;
    const { hostname, host } = new URL(url);
    const machine = hostname === 'localhost' ? '127.0.0.1' : hostname;
    if (udids.length > 0) return this.leases.take(machine, udids, slot);
    // the capabilities may name the device themselves: by its udid, or an emulator by its AVD
    const { udid, avd } = identity(this.capabilities({ slot }));
    const name = udid ?? (avd === undefined ? undefined : `AVD ${avd}`);
    const sameForAll = !differsBySlot(identity(template));
    if (single && sameForAll && slot > 0) {
      throw new UserError(
        `${url}: a single Appium gives all sessions the same device, so each new session would end the previous one; set device.count=1, or list the devices in device.webdriver.udids (\`adb devices\`)`,
      );
    }
    // a Grid or a farm gives each session a free device
    if (name === undefined && !single) return { release: () => undefined };
    const { release } = this.leases.take(machine, [name ?? `the device of ${host}`], 0);
    return { release };
  }

  private capabilities(substitutes: Substitutes): Readonly<Record<string, unknown>> {
    const { capabilities: template } = this.settings;
    const capabilities = filled(template, 'device.webdriver.capabilities', substitutes, this.context);
    const { udid } = substitutes;
    // the template may already contain the udid
    return udid === undefined || identity(template).udid?.includes('{udid')
      ? capabilities
      : { ...capabilities, 'appium:udid': udid };
  }
}

/** The capabilities that name the device. */
function identity(capabilities: Readonly<Record<string, unknown>>): { readonly udid?: string; readonly avd?: string } {
  const nested = capabilities['appium:options'];
  const all = { ...(typeof nested === 'object' ? nested : {}), ...capabilities } as Record<string, unknown>;
  const named = (name: string): string | undefined => {
    const value = all[`appium:${name}`] ?? all[name];
    return value === undefined || value === '' ? undefined : String(value);
  };
  return { udid: named('udid'), avd: named('avd') };
}
