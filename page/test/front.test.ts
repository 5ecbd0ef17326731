import assert from "node:assert/strict";
import { test } from "node:test";

import { refusal, seconds } from "../src/front";

const error = (code: string): unknown => ({ error: { code, message: `says ${code}`, hint: "" } });

test("what is worth trying again says after how long", () => {
  const cases: [number, string | null, unknown, string, number][] = [
    [503, "7", error("busy"), "busy", 7],
    [503, "2", error("draining"), "starting", 2],
    [503, null, error("starting"), "starting", 5],
    [429, "30", error("rate"), "too-many", 30],
    [502, null, null, "starting", 5],
  ];
  for (const [status, header, answer, reason, wait] of cases) {
    const refused = refusal(status, header, answer);
    assert.equal(refused.reason, reason);
    assert.equal(refused.retryAfterS, wait);
  }
});

test("what will not get better is not tried again", () => {
  for (const [status, reason] of [[401, "unauthorized"], [403, "forbidden"], [400, "broken"]] as const) {
    const refused = refusal(status, "5", error("x"));
    assert.equal(refused.reason, reason);
    assert.equal(refused.retryAfterS, null);
  }
});

test("what a room's service says is said, not waited for", () => {
  const refused = refusal(502, null, error("room-key"));
  assert.equal(refused.reason, "broken");
  assert.equal(refused.message, "says room-key");
});

test("an answer that is not the front's is as good as none", () => {
  assert.equal(refusal(404, null, null).reason, "unreachable");
  assert.equal(refusal(404, null, error("not-found")).message, "says not-found");
});

test("Retry-After is seconds or a date, and is kept within reason", () => {
  const now = Date.parse("2026-11-21T00:00:00Z");
  assert.equal(seconds("12", now), 12);
  assert.equal(seconds("Sat, 21 Nov 2026 00:00:09 GMT", now), 9);
  assert.equal(seconds("0", now), 1);
  assert.equal(seconds("999999", now), 300);
  assert.equal(seconds("soon", now), null);
  assert.equal(seconds(null, now), null);
});
