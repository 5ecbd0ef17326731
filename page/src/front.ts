/** The front's HTTP, seen from the page. Addresses are relative to the page, so it also works below a path. */

export interface Bot {
  name: string;
  transport: string;
}

export interface Session {
  id: string;
  offerUrl: string;
  ice: IceConfig;
}

/** Of a peer connection's own configuration. */
export type IceConfig = Pick<RTCConfiguration, "iceServers" | "iceTransportPolicy">;

export type Reason =
  | "busy" // all slots are taken
  | "starting" // the bot is not ready yet, or a new release takes over
  | "too-many" // this address asked too often
  | "unauthorized" // no invitation, or one that has expired
  | "forbidden" // the page's own address is not allowed
  | "unreachable" // no answer, or not the front's
  | "broken"; // the front answered with something else

/** A try that did not lead to a session. `retryAfterS` is set when trying again is worth it. */
export class Refusal extends Error {
  constructor(
    readonly reason: Reason,
    readonly retryAfterS: number | null,
    message: string,
  ) {
    super(message);
  }
}

const address = (path: string): string => new URL(path, document.baseURI).href;

export async function askBot(): Promise<Bot> {
  const response = await fetch(address("page.json"), { cache: "no-store" });
  if (!response.ok) throw new Error(`page.json: ${response.status}`);
  return (await response.json()) as Bot;
}

/** Starts a session. With an invitation, each try trades it for a one-time token first. */
export async function startSession(invite: string | null, signal: AbortSignal): Promise<Session> {
  const started = await start<{ sessionId: string; iceConfig?: IceConfig }>("webrtc", invite, signal);
  return {
    id: started.sessionId,
    offerUrl: address(`sessions/${started.sessionId}/api/offer`),
    ice: started.iceConfig ?? {},
  };
}

/** Starts a call in a Daily room, and says where that is, with the token to come in. */
export async function startRoom(invite: string | null, signal: AbortSignal): Promise<string> {
  const started = await start<{ dailyRoom: string; dailyToken: string }>("daily", invite, signal);
  const room = new URL(started.dailyRoom);
  room.searchParams.set("t", started.dailyToken);
  return room.href;
}

async function start<T>(transport: string, invite: string | null, signal: AbortSignal): Promise<T> {
  const body = { transport, enableDefaultIceServers: false, body: {} };
  if (invite) return post<T>("start", await mint(invite, signal), body, signal);
  try {
    return await post<T>("start", null, body, signal);
  } catch (error) {
    if (!(error instanceof Refusal) || error.reason !== "unauthorized") throw error;
  }
  // A front that is open to everybody gives everybody a token, and so still counts the tries of each address.
  return post<T>("start", await mint(null, signal), body, signal);
}

async function mint(invite: string | null, signal: AbortSignal): Promise<string> {
  return (await post<{ token: string }>("token", invite, {}, signal)).token;
}

/** Frees the slot at once instead of after the server's own time limit; also works while the page goes away. */
export function endSession(session: Session): void {
  fetch(address(`sessions/${session.id}`), { method: "DELETE", keepalive: true }).catch(() => undefined);
}

async function post<T>(path: string, token: string | null, body: unknown, signal: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(address(path), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refusal("unreachable", null, "no answer");
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer as T;
  throw refusal(response.status, response.headers.get("Retry-After"), answer);
}

/** What an answer that is not a success means for the caller. */
export function refusal(status: number, retryAfter: string | null, answer: unknown): Refusal {
  const error = (answer as { error?: { code?: string; message?: string } } | null)?.error;
  const message = error?.message ?? `HTTP ${status}`;
  const wait = seconds(retryAfter, Date.now());
  switch (status) {
    case 401:
      return new Refusal("unauthorized", null, message);
    case 403:
      return new Refusal("forbidden", null, message);
    case 429:
      return new Refusal("too-many", wait ?? 10, message);
    case 503:
      return new Refusal(error?.code === "busy" ? "busy" : "starting", wait ?? 5, message);
    case 502:
      // The service that makes rooms: the message says what to do.
      if (error?.code?.startsWith("room-")) return new Refusal("broken", null, message);
    // falls through
    case 504:
      // A reverse proxy speaks while the front behind it restarts.
      return new Refusal("starting", wait ?? 5, message);
    default:
      return new Refusal(error ? "broken" : "unreachable", null, message);
  }
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). */
export function seconds(retryAfter: string | null, now: number): number | null {
  if (!retryAfter) return null;
  const value = /^\d+$/.test(retryAfter.trim()) ? Number(retryAfter) : (Date.parse(retryAfter) - now) / 1000;
  if (Number.isNaN(value)) return null;
  return Math.min(Math.max(Math.ceil(value), 1), 300);
}
