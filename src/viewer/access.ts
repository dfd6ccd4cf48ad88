import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { hostname } from 'node:os';
import { isIP } from 'node:net';

/** Hosts that only this machine can reach. */
const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
const COOKIE = 'critiq-viewer';

/** The parts of a request that decide whether it is answered. */
export interface Asked {
  readonly method: string;
  /** the Host header */
  readonly host: string | undefined;
  readonly cookie: string | undefined;
  /** the Authorization header */
  readonly authorization: string | undefined;
  /** `token` in the URL */
  readonly token: string | undefined;
}

/** Why a request is refused. */
export interface Refusal {
  readonly status: 401 | 403 | 405;
  readonly error: string;
}

/**
 * Decides who may read. On loopback that is everybody on this machine; on other addresses, whoever has the token. In both
 * cases the request must use one of the server's own names: another site can point its name at our address (DNS
 * rebinding), but cannot make a browser send an address in digits.
 */
export class Access {
  /** the token that the URL must have; undefined on loopback */
  readonly token: string | undefined;

  /** @param host the address that the server listens on */
  constructor(private readonly host: string) {
    this.token = LOOPBACK.has(host) ? undefined : randomBytes(24).toString('base64url');
  }

  /** Undefined if the request may be answered. */
  refusal({ method, host, cookie, authorization, token }: Asked): Refusal | undefined {
    if (!this.isOurs(nameOf(host)))
      return { status: 403, error: `this server does not answer to the name ${host ?? ''}` };
    if (method !== 'GET' && method !== 'HEAD')
      return { status: 405, error: 'the viewer is read-only: it answers GET and HEAD alone' };
    if (this.token === undefined) return undefined;
    const shown = token ?? bearer(authorization) ?? cookieOf(cookie);
    if (shown !== undefined && same(shown, this.token)) return undefined;
    return { status: 401, error: 'the token is missing or wrong: open the URL that critiq view printed' };
  }

  /** The cookie that replaces the token after the first request, so that the URL need not keep it. */
  cookie(): string {
    return `${COOKIE}=${this.token ?? ''}; HttpOnly; SameSite=Strict; Path=/`;
  }

  private isOurs(name: string): boolean {
    if (this.token === undefined) return LOOPBACK.has(name);
    return (
      isIP(name) !== 0 || name === 'localhost' || name === hostname().toLowerCase() || name === this.host.toLowerCase()
    );
  }
}

/** The name in a Host header, without port and brackets. */
function nameOf(host = ''): string {
  const [, name] = /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(host.toLowerCase()) ?? [];
  return (name ?? '').replace(/^\[|\]$/g, '');
}

function bearer(authorization: string | undefined): string | undefined {
  return /^Bearer (\S+)$/.exec(authorization ?? '')?.[1];
}

function cookieOf(cookies = ''): string | undefined {
  return cookies
    .split(/;\s*/)
    .find((one) => one.startsWith(`${COOKIE}=`))
    ?.slice(COOKIE.length + 1);
}

/** Whether two texts are equal, in a time that does not reveal where they differ. */
function same(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
