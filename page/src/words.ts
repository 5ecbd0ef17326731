/** What the page says when something stands between the caller and the bot. */

import type { Refusal } from "./front";
import type { MicrophoneTrouble } from "./microphone";
import type { Notice } from "./view";

export function waitingFor(refusal: Refusal): { state: string; notice: Notice } {
  switch (refusal.reason) {
    case "too-many":
      return {
        state: "A short pause",
        notice: { kind: "wait", title: "A little too fast", text: "There were many calls from your network just now. You are next after a short pause." },
      };
    case "busy":
      return {
        state: "Everyone is busy",
        notice: { kind: "wait", title: "All lines are taken", text: "The bot is talking to other people right now. Stay here: you get through as soon as a line is free." },
      };
    default:
      return {
        state: "Waking up",
        notice: { kind: "wait", title: "The bot is getting ready", text: "It is just starting. Stay here: the call begins by itself." },
      };
  }
}

export function refused(refusal: Refusal, invited: boolean): Notice {
  switch (refusal.reason) {
    case "unauthorized":
      return invited
        ? { kind: "problem", title: "This link has expired", text: "Links to the bot work for a limited time. Ask whoever sent it for a new one." }
        : { kind: "problem", title: "You need an invitation", text: "This bot answers only to people with a link to it. Open the link you were sent, or ask for one." };
    case "forbidden":
      return {
        kind: "problem",
        title: "The bot does not accept calls from here",
        text: `It does not know the address ${location.origin}, or your link does not allow calls. Ask whoever runs the bot.`,
      };
    case "unreachable":
      return { kind: "problem", title: "No answer", text: "The bot’s server cannot be reached. Check your connection and try again." };
    default:
      return { kind: "problem", title: "That did not work", text: `The bot’s server answered: ${refusal.message}` };
  }
}

export function noMicrophone(why: MicrophoneTrouble): Notice {
  switch (why) {
    case "insecure":
      return insecure();
    case "denied":
      return {
        kind: "problem",
        title: "The microphone is blocked",
        text: "Allow it in your browser (usually the icon beside the address), then try again. The bot needs to hear you.",
      };
    case "missing":
      return { kind: "problem", title: "No microphone found", text: "Plug one in or switch one on, then try again." };
    case "in-use":
      return { kind: "problem", title: "The microphone is in use", text: "Another program holds it. Close that program, then try again." };
    default:
      return { kind: "problem", title: "The microphone does not work", text: "Choose another one or check your system’s sound settings, then try again." };
  }
}

/** Browsers hand out the microphone on https and on this machine's own names only. */
function insecure(): Notice {
  const title = "Your browser keeps the microphone closed here";
  if (location.hostname === "0.0.0.0") {
    const href = `http://localhost${location.port ? `:${location.port}` : ""}/`;
    return { kind: "problem", title, text: "It opens it only over https or on localhost. This machine has a better name:", link: { href, label: href } };
  }
  return {
    kind: "problem",
    title,
    text: "It opens it only over https or on localhost. Ask for an https address of this bot, or open the page on the machine it runs on.",
  };
}

export const NO_WAY_THROUGH: Notice = {
  kind: "problem",
  title: "No sound gets through",
  text: "The bot answered, but the network between you carries no audio (UDP). Try another network, for example a phone’s hotspot, or tell whoever runs the bot.",
};

export const LOST: Notice = {
  kind: "problem",
  title: "The connection was lost",
  text: "Your network or the bot’s server went away in the middle of the call. You can call again.",
};

export function botTrouble(message: string): Notice {
  return { kind: "problem", title: "The bot reports a problem", text: message || "It did not say which." };
}
