/** Bots that are not talked to on this page: who opens it anyway is told the way. */

import { Refusal, startRoom } from "./front";
import type { Notice, View } from "./view";
import { refused, waitingFor } from "./words";

const PHONE: Record<string, string> = { twilio: "Twilio", telnyx: "Telnyx", plivo: "Plivo", exotel: "Exotel" };

export function elsewhere(view: View, transport: string, invite: string | null): void {
  if (transport === "daily") room(view, invite);
  else {
    view.unavailable("Not on this page");
    view.notice(theWay(transport));
  }
}

export function theWay(transport: string): Notice {
  const carrier = PHONE[transport];
  const title = carrier ? "This bot answers the phone" : "This bot is talked to elsewhere";
  let text = `It is reached by ${transport}, which this page does not speak.`;
  if (carrier) text = `Call its number at ${carrier}. Whoever runs the bot finds out which one that is by: voicedeploy phone`;
  if (transport === "livekit") text = "It comes to a room at a LiveKit server. An app with a LiveKit client asks this address for one: POST /start";
  if (transport === "websocket") text = "An app with Pipecat’s WebSocket client talks to it, and begins at this address: POST /start";
  return { kind: "problem", title, text };
}

/** A Daily room has a page of its own, which opens the microphone too. */
function room(view: View, invite: string | null): void {
  let asking: AbortController | null = null;
  const ready = (notice: Notice | null): void => {
    asking = null;
    view.phase("idle", "Opens a room at Daily", "Open the room");
    view.notice(notice);
  };
  view.available();
  view.onEscape = () => asking?.abort();
  view.onButton = () => {
    if (asking) return asking.abort();
    const mine = (asking = new AbortController());
    view.notice(null);
    view.phase("calling", "Making a room");
    startRoom(invite, mine.signal).then(
      (href) => location.assign(href),
      (error: unknown) => ready(mine.signal.aborted ? null : problem(error, invite !== null)),
    );
  };
  ready(null);
}

function problem(error: unknown, invited: boolean): Notice {
  if (!(error instanceof Refusal)) return { kind: "problem", title: "That did not work", text: String(error) };
  if (error.retryAfterS === null) return refused(error, invited);
  const { title } = waitingFor(error).notice;
  return { kind: "wait", title, text: `Try again in ${error.retryAfterS} s.` };
}
