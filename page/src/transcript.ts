/** Who said what, drawn as it is said. */

import type { BotOutputData, TranscriptData } from "@pipecat-ai/client-js";

export class Transcript {
  private last: { side: "you" | "bot"; line: HTMLElement } | null = null;
  private draft: HTMLElement | null = null;
  private readonly segments = new Map<number, HTMLElement>();

  constructor(
    private readonly list: HTMLOListElement,
    private readonly botName: () => string,
  ) {}

  clear(): void {
    this.list.replaceChildren();
    this.last = null;
    this.draft = null;
    this.segments.clear();
  }

  /** Speech recognisers send drafts of a sentence before the sentence. */
  you(data: TranscriptData): void {
    const text = data.text.trim();
    if (!text) return;
    if (!this.draft) this.draft = this.words(this.line("you"), "");
    this.draft.textContent = this.spaced(this.draft, text);
    this.draft.classList.toggle("draft", !data.final);
    if (data.final) this.draft = null;
    this.follow();
  }

  /** Words light up as they are spoken, when the bot's voice tells where it is. */
  bot(data: BotOutputData): void {
    const spoken = data.spoken_progress?.accumulated_text ?? (data.spoken === false ? null : data.text);
    if (spoken === null) return; // protocol 1: the same text comes again when it is spoken
    const rest = data.spoken_progress?.remaining_text ?? "";
    const id = data.segment_id;
    let words = id === undefined ? undefined : this.segments.get(id);
    if (!words) {
      words = this.words(this.line("bot"), "");
      if (id !== undefined) this.segments.set(id, words);
    }
    const heard = document.createElement("span");
    heard.textContent = this.spaced(words, spoken.trim());
    const ahead = document.createElement("span");
    ahead.className = "ahead";
    ahead.textContent = rest.trim() ? ` ${rest.trim()}` : "";
    words.replaceChildren(heard, ahead);
    this.follow();
  }

  /** What the caller cut off was not said. A voice that does not tell where it is keeps its sentence, dimmed. */
  interrupted(): void {
    for (const words of this.segments.values()) {
      const ahead = words.querySelector(".ahead");
      if (ahead?.textContent && ahead.previousElementSibling?.textContent) ahead.textContent = " …";
    }
  }

  private line(side: "you" | "bot"): HTMLElement {
    if (this.last?.side === side) return this.last.line;
    const line = document.createElement("li");
    line.className = side;
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = side === "you" ? "You" : this.botName();
    const said = document.createElement("p");
    said.className = "said";
    line.append(who, said);
    this.list.append(line);
    this.last = { side, line };
    return line;
  }

  private words(line: HTMLElement, text: string): HTMLElement {
    const words = document.createElement("span");
    words.textContent = text;
    line.querySelector(".said")?.append(words);
    return words;
  }

  private spaced(words: HTMLElement, text: string): string {
    return words.previousElementSibling ? ` ${text}` : text;
  }

  private follow(): void {
    this.list.scrollTop = this.list.scrollHeight;
  }
}
