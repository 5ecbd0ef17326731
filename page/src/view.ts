/** Everything the caller sees. Knows the document, nothing of calls. */

import { Orb } from "./orb";
import type { Levels } from "./levels";
import type { Quality } from "./quality";
import { Transcript } from "./transcript";

export type Phase = "idle" | "asking" | "calling" | "waiting" | "connecting" | "talking";

export interface Notice {
  kind: "wait" | "problem";
  title: string;
  text: string;
  link?: { href: string; label: string };
}

const BUTTON: Record<Phase, string> = {
  idle: "Start talking",
  asking: "Cancel",
  calling: "Cancel",
  waiting: "Stop trying",
  connecting: "Cancel",
  talking: "Hang up",
};

function element<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

export class View {
  readonly transcript: Transcript;
  readonly voice = element<HTMLAudioElement>("voice");
  onButton: () => void = () => undefined;
  onMute: () => void = () => undefined;
  onEscape: () => void = () => undefined;
  onMicrophone: (deviceId: string) => void = () => undefined;

  private readonly shell = element("shell");
  private readonly button = element<HTMLButtonElement>("call");
  private readonly muteButton = element<HTMLButtonElement>("mute");
  private readonly microphones = element<HTMLSelectElement>("microphones");
  private readonly orb = new Orb(element<HTMLCanvasElement>("orb"));
  private readonly bars = { you: element("level-you"), bot: element("level-bot") };
  private name = "Bot";
  private meters = 0;

  constructor() {
    this.transcript = new Transcript(element<HTMLOListElement>("transcript"), () => this.name);
    this.button.addEventListener("click", () => this.onButton());
    this.muteButton.addEventListener("click", () => this.onMute());
    this.microphones.addEventListener("change", () => this.onMicrophone(this.microphones.value));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  bot(name: string): void {
    const words = name.replace(/[-_]+/g, " ").trim();
    this.name = words.charAt(0).toUpperCase() + words.slice(1);
    element("name").textContent = this.name;
    document.title = `Talk to ${this.name}`;
  }

  phase(phase: Phase, words: string, label = BUTTON[phase]): void {
    this.shell.dataset["phase"] = phase;
    element("call-label").textContent = label;
    this.button.dataset["act"] = phase === "idle" ? "start" : "stop";
    this.state(words);
    this.orb.wake(phase === "talking");
    if (phase === "talking") this.shell.classList.add("used");
    document.title = phase === "talking" ? `● ${this.name}` : phase === "waiting" ? `… ${this.name}` : `Talk to ${this.name}`;
    const live = phase !== "idle";
    this.muteButton.disabled = phase !== "talking";
    this.shell.classList.toggle("live", live);
    if (phase !== "talking") this.clock(null);
  }

  /** Read aloud by a screen reader: only what changes rarely belongs here. */
  state(words: string): void {
    const state = element("state");
    if (state.textContent !== words) state.textContent = words;
  }

  unstable(unstable: boolean): void {
    this.shell.classList.toggle("unstable", unstable);
  }

  mood(words: string): void {
    const mood = element("mood");
    if (mood.textContent !== words) mood.textContent = words;
  }

  clock(seconds: number | null): void {
    const text = seconds === null ? "" : duration(seconds);
    element("clock").textContent = text;
  }

  unavailable(words: string): void {
    this.button.disabled = true;
    this.state(words);
  }

  available(): void {
    this.button.disabled = false;
  }

  notice(notice: Notice | null): void {
    const box = element("notice");
    box.replaceChildren();
    delete box.dataset["kind"];
    if (!notice) return;
    box.dataset["kind"] = notice.kind;
    const title = document.createElement("strong");
    title.textContent = notice.title;
    const text = document.createElement("p");
    text.textContent = notice.text;
    box.append(title, text);
    if (notice.link) {
      const link = document.createElement("a");
      link.href = notice.link.href;
      link.textContent = notice.link.label;
      box.append(link);
    }
  }

  mute(muted: boolean): void {
    this.muteButton.setAttribute("aria-pressed", String(muted));
    this.muteButton.title = muted ? "Unmute (M)" : "Mute (M)";
    this.shell.classList.toggle("muted", muted);
  }

  choices(devices: MediaDeviceInfo[], chosen: string | undefined): void {
    const options = devices.map((device, index) => {
      const option = document.createElement("option");
      option.value = device.deviceId;
      option.textContent = device.label || `Microphone ${index + 1}`;
      option.selected = device.deviceId === chosen;
      return option;
    });
    this.microphones.replaceChildren(...options);
    this.microphones.disabled = options.length === 0;
  }

  attach(levels: Levels | null): void {
    this.orb.attach(levels);
    clearInterval(this.meters);
    const draw = (): void => {
      for (const side of ["you", "bot"] as const) {
        this.bars[side].style.transform = `scaleX(${(levels?.level[side] ?? 0).toFixed(3)})`;
      }
    };
    draw();
    if (levels) this.meters = window.setInterval(draw, 50);
  }

  begin(): void {
    this.transcript.clear();
    this.shell.classList.remove("used");
    for (const id of ["first-word", "voice-to-voice", "round-trip", "jitter", "lost"]) this.figure(id, "", "–");
    element("path").textContent = "–";
    element("turns").textContent = "from your last word to its answer";
  }

  firstWord(ms: number): void {
    this.figure("first-word", ms.toFixed(0), inSeconds(ms));
  }

  voiceToVoice(ms: number, turns: number): void {
    this.figure("voice-to-voice", ms.toFixed(0), inSeconds(ms));
    element("turns").textContent = turns === 1 ? "from your last word to its answer" : `median of ${turns} answers`;
    element("turns").dataset["turns"] = String(turns);
  }

  quality(quality: Quality): void {
    if (quality.roundTripMs !== null) this.figure("round-trip", quality.roundTripMs.toFixed(1), `${quality.roundTripMs.toFixed(0)} ms`);
    if (quality.jitterMs !== null) this.figure("jitter", quality.jitterMs.toFixed(1), `${quality.jitterMs.toFixed(0)} ms`);
    const all = quality.packets + quality.lost;
    this.figure("lost", String(quality.lost), all ? `${((quality.lost / all) * 100).toFixed(1)} %` : "–");
    if (quality.path) element("path").textContent = quality.path;
  }

  private figure(id: string, value: string, text: string): void {
    const figure = element<HTMLDataElement>(id);
    figure.value = value;
    figure.textContent = text;
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const target = event.target as HTMLElement;
    if (event.key === "Escape") this.onEscape();
    else if (target.closest("select")) return;
    else if (event.key === "m" || event.key === "M") this.onMute();
    else if ((event.key === " " || event.key === "Enter") && target === document.body) {
      event.preventDefault();
      this.button.click();
    }
  }
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

export function duration(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
