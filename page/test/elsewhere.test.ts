import assert from "node:assert/strict";
import { test } from "node:test";

import { theWay } from "../src/elsewhere";

test("each transport that the page does not speak has its own words", () => {
  const texts = ["livekit", "websocket", "twilio", "telnyx", "plivo", "exotel", "later"].map((transport) => theWay(transport).text);
  assert.equal(new Set(texts).size, texts.length);
  assert.match(theWay("plivo").text, /number at Plivo/);
});
