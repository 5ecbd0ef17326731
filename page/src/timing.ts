/** First word and voice to voice, from the sound of both sides alone: nothing the bot says about itself is believed. */

/** 20 ms of one side; times in seconds of one clock, `firstAudible` −1 when nothing in it passed −45 dBFS. */
export interface Stretch {
  began: number;
  ended: number;
  rms: number;
  firstAudible: number;
}

/** A bot that was quiet for less than this is still in the same utterance (pauses between sentences). */
const BOT_PAUSE_S = 0.3;
/** Less sound than this is a click or a cough, not a turn. */
const TURN_S = 0.12;
/** What stays in the room after the bot fell silent is its echo. */
const ECHO_S = 0.2;
/** No bot answers sooner than this after the last word: it spoke into the sentence. */
const OVERLAP_S = 0.1;
/** An answer that comes later than this has not much to do with the question. */
const ANSWER_S = 15;
/** A voice is this much louder than the room (10 dB), and never softer than −50 dBFS. */
const ABOVE_ROOM = 10 ** (10 / 20);
const SOFTEST_VOICE = 10 ** (-50 / 20);

export class Timing {
  onFirstWord: (contextTime: number) => void = () => undefined;
  onAnswer: (voiceToVoiceS: number) => void = () => undefined;

  private room = SOFTEST_VOICE / ABOVE_ROOM;
  private spokeS = 0;
  private yourEnd = -Infinity;
  private botEnd = -Infinity;
  private heardBot = false;

  you(stretch: Stretch): void {
    const voice = stretch.rms > Math.max(this.room * ABOVE_ROOM, SOFTEST_VOICE);
    // The room's noise is learnt slowly upwards and quickly downwards, so that speech does not count as room.
    this.room += (Math.max(stretch.rms, 1e-5) - this.room) * (stretch.rms < this.room ? 0.2 : voice ? 0.0005 : 0.01);
    if (!voice) return;
    this.yourEnd = stretch.ended;
    if (stretch.began > this.botEnd + ECHO_S) this.spokeS += stretch.ended - stretch.began;
  }

  bot(stretch: Stretch): void {
    if (stretch.firstAudible < 0) return;
    const onset = stretch.firstAudible;
    if (!this.heardBot) {
      this.heardBot = true;
      this.onFirstWord(onset);
    }
    if (onset > this.botEnd + BOT_PAUSE_S) {
      const gap = onset - this.yourEnd;
      if (this.spokeS >= TURN_S && this.yourEnd > this.botEnd && gap > OVERLAP_S && gap < ANSWER_S) this.onAnswer(gap);
      this.spokeS = 0;
    }
    this.botEnd = stretch.ended;
  }
}

/** The middle value: one slow turn must not decide what is shown. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
