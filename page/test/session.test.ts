import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { startSession } from "../src/front";

const signal = new AbortController().signal;

/** A session as the page starts it, at a front that answers `/start` so. */
async function started(answer: object) {
  const server = createServer((_, response) => response.end(JSON.stringify(answer)));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const baseURI = `http://127.0.0.1:${(server.address() as AddressInfo).port}/talk/`;
  Object.assign(globalThis, { document: { baseURI } });
  try {
    return { session: await startSession(null, signal), baseURI };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("what the front says of relays goes to the peer connection as it is", async () => {
  const iceConfig = { iceServers: [{ urls: "turn:relay.example", username: "u", credential: "c" }], iceTransportPolicy: "relay" };
  const { session } = await started({ sessionId: "s1", iceConfig });
  assert.deepEqual(session.ice, iceConfig);
});

test("a front that says nothing of them leaves every way open", async () => {
  const { session, baseURI } = await started({ sessionId: "s1" });
  assert.deepEqual(session, { id: "s1", offerUrl: `${baseURI}sessions/s1/api/offer`, ice: {} });
});
