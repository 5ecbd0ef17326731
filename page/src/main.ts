/** One page, one button: the life of a conversation from click to goodbye. */

import { Call, NoWayThrough } from "./call";
import type { Ending } from "./call";
import { elsewhere } from "./elsewhere";
import { askBot, endSession, Refusal, startSession } from "./front";
import type { Session } from "./front";
import { takeInvite } from "./invite";
import { Levels } from "./levels";
import { isGranted, Microphone, trouble } from "./microphone";
import { quality } from "./quality";
import { median, Timing } from "./timing";
import { duration, View } from "./view";
import { botTrouble, LOST, noMicrophone, NO_WAY_THROUGH, refused, waitingFor } from "./words";

/** A bot that waits for the caller to begin looks like a broken one. */
const SILENT_MS = 6000;

const view = new View();
const invite = takeInvite();

let chosen: string | undefined;
let current: Conversation | null = null;

class MicrophoneClosed extends Error {
  constructor(readonly cause: unknown) {
    super("microphone");
  }
}

class Conversation {
  private readonly stopping = new AbortController();
  private readonly microphone = new Microphone();
  private readonly levels = new Levels();
  private readonly timing = new Timing();
  private readonly clicked = performance.now();
  /** From when the caller waits for the bot: the click, but without the time that people or a queue took. */
  private from = this.clicked;
  private session: Session | null = null;
  private call: Call | null = null;
  private connectedAt = 0;
  private ticking = 0;
  private muted = false;
  private finished: (how: Ending) => void = () => undefined;
  private heard = false;
  private reported = false;
  private silentHint = 0;

  async run(): Promise<void> {
    view.begin();
    view.notice(null);
    view.mute(false);
    view.attach(this.levels);
    this.measure();
    try {
      const session = await this.prepare();
      await this.talk(session);
    } catch (error) {
      if (this.stopping.signal.aborted) view.phase("idle", "Ready when you are");
      else this.explain(error);
    } finally {
      await this.release();
    }
  }

  stop(): void {
    this.stopping.abort();
  }

  /** For a page that goes away: there is no time left to wait for anything. */
  abandon(): void {
    if (this.session) endSession(this.session);
  }

  toggleMute(): void {
    if (!this.call || !this.connectedAt) return;
    this.muted = !this.muted;
    this.call.mute(this.muted);
    view.mute(this.muted);
    view.state(this.muted ? "Microphone muted" : "Connected");
    view.mood(this.muted ? "The bot does not hear you" : "Listening");
  }

  async choose(deviceId: string): Promise<void> {
    if (!this.microphone.source) return;
    await this.microphone.choose(deviceId);
    if (this.microphone.source) await this.levels.listen("you", this.microphone.source);
    await this.offerMicrophones();
  }

  async offerMicrophones(): Promise<void> {
    if (this.microphone.source) view.choices(await this.microphone.devices(), this.microphone.deviceId);
  }

  private async prepare(): Promise<Session> {
    const granted = await isGranted();
    this.check();
    if (!granted) view.phase("asking", "Allow the microphone to begin");
    const opening = this.openMicrophone();
    if (!granted) {
      await unless(this.stopping.signal, opening);
      this.from = performance.now();
    }
    // The slot is asked for only when a microphone is certain, but the two need not wait for each other.
    const [opened, dialled] = await Promise.allSettled([opening, this.dial()]);
    if (dialled.status === "fulfilled") this.session = dialled.value;
    if (opened.status === "rejected") throw opened.reason;
    if (dialled.status === "rejected") throw dialled.reason;
    return dialled.value;
  }

  private async openMicrophone(): Promise<void> {
    let track: MediaStreamTrack;
    try {
      track = await this.microphone.open(chosen);
    } catch (error) {
      throw new MicrophoneClosed(error);
    }
    if (this.stopping.signal.aborted) this.microphone.close();
    this.check();
    await this.levels.listen("you", track);
    await this.offerMicrophones();
  }

  private async dial(): Promise<Session> {
    view.phase("calling", "Calling…");
    for (let tries = 0; ; tries++) {
      if (tries > 0) this.from = performance.now();
      try {
        const session = await startSession(invite, this.stopping.signal);
        view.notice(null);
        return session;
      } catch (error) {
        if (!(error instanceof Refusal) || this.stopping.signal.aborted) throw error;
        // A server that was there a moment ago and is restarting now is worth waiting for.
        const wait = error.retryAfterS ?? (tries > 0 && error.reason === "unreachable" ? 5 : null);
        if (wait === null) throw error;
        await this.wait(error, wait);
      }
    }
  }

  private async wait(refusal: Refusal, seconds: number): Promise<void> {
    const words = waitingFor(refusal);
    view.phase("waiting", words.state);
    view.notice(words.notice);
    // All who wait must not come back in the same moment.
    const until = performance.now() + seconds * 1000 + Math.random() * 400;
    for (;;) {
      const left = until - performance.now();
      if (left <= 0) break;
      view.mood(`Trying again in ${Math.ceil(left / 1000)} s`);
      await pause(Math.min(left, 250), this.stopping.signal);
    }
    view.mood("Trying…");
  }

  private async talk(session: Session): Promise<void> {
    this.check();
    view.phase("connecting", "Connecting…");
    view.mood("");
    const ended = new Promise<Ending>((resolve) => {
      this.finished = resolve;
    });
    const stopped = new Promise<void>((resolve) => {
      this.stopping.signal.addEventListener("abort", () => resolve());
    });
    this.call = new Call(this.microphone, this);
    const how = await Promise.race([this.call.connect(session).then(() => ended), stopped]);
    if (how === "lost") {
      view.phase("idle", "Connection lost", "Call again");
      view.notice(LOST);
    } else if (how === "bot") {
      view.phase("idle", this.summary("The bot ended the call"), "Call again");
    } else {
      view.phase("idle", this.connectedAt ? this.summary("Call ended") : "Ready when you are", this.connectedAt ? "Call again" : undefined);
    }
  }

  private async release(): Promise<void> {
    clearInterval(this.ticking);
    clearTimeout(this.silentHint);
    view.mood("");
    view.unstable(false);
    view.mute(false);
    await this.call?.hangUp();
    if (this.session) endSession(this.session);
    this.session = null;
    this.microphone.close();
    view.voice.srcObject = null;
    view.attach(null);
    await this.levels.close();
  }

  private explain(error: unknown): void {
    if (error instanceof MicrophoneClosed) {
      view.phase("idle", "No microphone", "Try again");
      view.notice(noMicrophone(trouble(error.cause)));
    } else if (error instanceof Refusal) {
      view.phase("idle", "Not connected", "Try again");
      view.notice(refused(error, invite !== null));
    } else if (error instanceof NoWayThrough) {
      view.phase("idle", "Not connected", "Try again");
      view.notice(NO_WAY_THROUGH);
    } else {
      view.phase("idle", "Not connected", "Try again");
      if (!this.reported) view.notice(refused(new Refusal("broken", null, error instanceof Error ? error.message : String(error)), false));
    }
  }

  private measure(): void {
    const answers: number[] = [];
    this.levels.onStretch = (side, stretch) => this.timing[side](stretch);
    this.timing.onFirstWord = (contextTime) => {
      this.heard = true;
      view.firstWord(this.levels.moment(contextTime) - this.from);
    };
    this.timing.onAnswer = (seconds) => {
      answers.push(seconds * 1000);
      view.voiceToVoice(median(answers), answers.length);
    };
  }

  private check(): void {
    this.stopping.signal.throwIfAborted();
  }

  private summary(words: string): string {
    return `${words} · ${duration((performance.now() - this.connectedAt) / 1000)}`;
  }

  // ---- what the call tells

  connected(): void {
    this.connectedAt = performance.now();
    view.phase("talking", "Connected");
    view.mood("Listening");
    void keepAwake();
    const tick = async (): Promise<void> => {
      view.clock((performance.now() - this.connectedAt) / 1000);
      const report = await this.call?.stats();
      if (report) view.quality(quality(report));
    };
    void tick();
    this.ticking = window.setInterval(() => void tick(), 1000);
    this.silentHint = window.setTimeout(() => {
      if (!this.heard && !this.muted) view.mood("Say hello: this bot lets you begin");
    }, SILENT_MS);
  }

  botTrack(track: MediaStreamTrack): void {
    view.voice.srcObject = new MediaStream([track]);
    void view.voice.play().catch(() => undefined);
    void this.levels.listen("bot", track);
  }

  botSpeaking(speaking: boolean): void {
    if (!this.muted) view.mood(speaking ? "Speaking" : "Listening");
  }

  youBegan(): void {
    view.transcript.interrupted();
  }

  youSaid(data: Parameters<typeof view.transcript.you>[0]): void {
    view.transcript.you(data);
  }

  botSaid(data: Parameters<typeof view.transcript.bot>[0]): void {
    view.transcript.bot(data);
  }

  trouble(message: string): void {
    this.reported = true;
    view.notice(botTrouble(message));
  }

  unstable(): void {
    view.unstable(true);
    view.state("The connection is shaky, holding on…");
  }

  stable(): void {
    view.unstable(false);
    view.state("Connected");
  }

  ended(how: Ending): void {
    this.finished(how);
  }
}

/** What a promise gives, unless the signal comes first. */
function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    promise.then(resolve, reject);
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** A phone that sleeps in the middle of a call takes the microphone away. The lock ends with the page's visibility. */
async function keepAwake(): Promise<void> {
  try {
    const lock = await navigator.wakeLock.request("screen");
    const look = setInterval(() => {
      if (current && !lock.released) return;
      clearInterval(look);
      void lock.release();
    }, 2000);
  } catch {
    // Not offered, or the battery is low: the call goes on.
  }
}

async function converse(): Promise<void> {
  const conversation = new Conversation();
  current = conversation;
  try {
    await conversation.run();
  } finally {
    current = null;
  }
}

const secure = window.isSecureContext && Boolean(navigator.mediaDevices);

view.onButton = () => {
  if (current) current.stop();
  else void converse();
};
view.onEscape = () => current?.stop();
view.onMute = () => current?.toggleMute();
view.onMicrophone = (deviceId) => {
  chosen = deviceId;
  void current?.choose(deviceId).catch(() => undefined);
};
addEventListener("pagehide", () => current?.abandon());

if (secure) {
  navigator.mediaDevices.addEventListener("devicechange", () => void current?.offerMicrophones());
} else {
  view.unavailable("No microphone");
  view.notice(noMicrophone("insecure"));
}

askBot().then(
  (bot) => {
    view.bot(bot.name);
    if (bot.transport !== "webrtc") elsewhere(view, bot.transport, invite);
  },
  () => view.bot("Voice bot"),
);
