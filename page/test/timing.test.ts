import assert from "node:assert/strict";
import { test } from "node:test";

import { median, Timing } from "../src/timing";

const STRETCH = 0.02;
const LOUD = 0.1;
const ROOM = 0.0008;

/** Plays both sides from 0 to `until` seconds: lists of [from, to] in which each side sounds. */
function play(until: number, you: [number, number][], bot: [number, number][], room = ROOM): { first: number[]; answers: number[] } {
  const timing = new Timing();
  const heard = { first: [] as number[], answers: [] as number[] };
  timing.onFirstWord = (at) => heard.first.push(at);
  timing.onAnswer = (seconds) => heard.answers.push(seconds);
  const sounds = (spans: [number, number][], at: number): boolean => spans.some(([from, to]) => at >= from && at < to);
  for (let i = 0; i * STRETCH < until; i++) {
    const began = i * STRETCH;
    const ended = began + STRETCH;
    const middle = began + STRETCH / 2;
    timing.you({ began, ended, rms: sounds(you, middle) ? LOUD : room, firstAudible: -1 });
    timing.bot({ began, ended, rms: 0, firstAudible: sounds(bot, middle) ? began + 0.003 : -1 });
  }
  return heard;
}

const near = (actual: number | undefined, expected: number): void => {
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 0.03, `${actual} is not near ${expected}`);
};

test("the first word is the bot's first audible sample, once", () => {
  const heard = play(10, [], [[1.2, 2], [4, 5]]);
  assert.equal(heard.first.length, 1);
  near(heard.first[0], 1.203);
  assert.deepEqual(heard.answers, []);
});

test("voice to voice is from the end of speech to the answer, for each turn", () => {
  const heard = play(20, [[3, 5], [9, 10]], [[1, 2], [5.8, 8], [10.5, 12]]);
  assert.equal(heard.answers.length, 2);
  near(heard.answers[0], 0.8);
  near(heard.answers[1], 0.5);
});

test("a pause between two sentences of the bot is not an answer", () => {
  const heard = play(12, [[3, 4]], [[4.6, 6], [6.5, 8], [9, 10]]);
  assert.equal(heard.answers.length, 1);
  near(heard.answers[0], 0.6);
});

test("a word thrown in while the bot speaks is not a turn", () => {
  const heard = play(12, [[1.5, 1.8]], [[1, 3], [3.5, 5]]);
  assert.deepEqual(heard.answers, []);
});

test("an echo of the bot in the room is not a turn", () => {
  const heard = play(12, [[1.1, 3.15]], [[1, 3], [4, 5]]);
  assert.deepEqual(heard.answers, []);
});

test("a click is not a turn", () => {
  const heard = play(12, [[4, 4.06]], [[1, 2], [5, 6]]);
  assert.deepEqual(heard.answers, []);
});

test("a bot that speaks into the sentence did not answer it", () => {
  const heard = play(12, [[3, 6]], [[1, 2], [4, 7]]);
  assert.deepEqual(heard.answers, []);
});

test("a noisy room is learnt and does not count as speech", () => {
  const heard = play(30, [[24, 26]], [[1, 2], [27, 28]], 0.012);
  assert.equal(heard.answers.length, 1);
  near(heard.answers[0], 1);
});

test("the median is not moved by one slow turn", () => {
  assert.equal(median([800, 9000, 700]), 800);
  assert.equal(median([1, 3]), 2);
});
