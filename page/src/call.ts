/** One call: Pipecat's client over small WebRTC, from an accepted session to its end. */

import { logger, LogLevel, PipecatClient } from "@pipecat-ai/client-js";
import type { BotOutputData, TranscriptData } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";

import type { Session } from "./front";
import type { Microphone } from "./microphone";

export type Ending = "bot" | "lost";

export interface Listener {
  connected(): void;
  unstable(): void;
  stable(): void;
  botTrack(track: MediaStreamTrack): void;
  botSpeaking(speaking: boolean): void;
  youSaid(data: TranscriptData): void;
  botSaid(data: BotOutputData): void;
  youBegan(): void;
  /** The bot itself says that something went wrong in it. */
  trouble(message: string): void;
  /** The call ended, and not by `hangUp`. */
  ended(how: Ending): void;
}

logger.setLevel(LogLevel.NONE);

/** Without packets between the two for this long there is no way through the network in between. */
const CONNECT_MS = 20_000;
/** A bot that closes says so on the data channel before the transport notices anything. */
const CLOSED_MS = 600;

/** The transport's peer connection is not in its declared interface: this is the one place that looks. */
class Transport extends SmallWebRTCTransport {
  icePolicy: RTCIceTransportPolicy = "all";

  /** The transport hands on the servers alone. No address is gathered before the offer, so this is in time. */
  createPeerConnection(): RTCPeerConnection {
    const made = SmallWebRTCTransport.prototype as unknown as { createPeerConnection(): RTCPeerConnection };
    const peer = made.createPeerConnection.call(this);
    peer.setConfiguration({ ...peer.getConfiguration(), iceTransportPolicy: this.icePolicy });
    return peer;
  }

  get peer(): RTCPeerConnection | null {
    return (this as unknown as { pc: RTCPeerConnection | null }).pc;
  }
  get channel(): RTCDataChannel | null {
    return (this as unknown as { dc: RTCDataChannel | null }).dc;
  }
}

export class NoWayThrough extends Error {}

export class Call {
  private readonly transport: Transport;
  private readonly client: PipecatClient;
  private over = false;
  private wasConnected = false;
  private watch = 0;
  private shaky = false;
  private closedAt = 0;

  constructor(
    private readonly microphone: Microphone,
    private readonly listener: Listener,
  ) {
    this.transport = new Transport({ mediaManager: microphone });
    this.client = new PipecatClient({
      transport: this.transport,
      enableMic: true,
      enableCam: false,
      callbacks: {
        onTrackStarted: (track, participant) => {
          if (track.kind === "audio" && !participant?.local) listener.botTrack(track);
        },
        onBotStartedSpeaking: () => listener.botSpeaking(true),
        onBotStoppedSpeaking: () => listener.botSpeaking(false),
        onUserStartedSpeaking: () => listener.youBegan(),
        onUserTranscript: (data) => listener.youSaid(data),
        onBotOutput: (data) => listener.botSaid(data),
        onError: (message) => {
          const data = message.data as { error?: string; message?: string; fatal?: boolean } | undefined;
          listener.trouble(data?.error ?? data?.message ?? "");
          if (data?.fatal) this.finish("bot");
        },
        onBotDisconnected: () => this.finish("bot"),
        onDisconnected: () => this.finish("lost"),
      },
    });
    microphone.onReplaced = () => void this.replaceTrack();
  }

  /** Resolves when media and messages can flow. Throws `NoWayThrough` when they cannot, else what the transport throws. */
  async connect(session: Session): Promise<void> {
    let refuse: (error: Error) => void = () => undefined;
    this.transport.icePolicy = session.ice.iceTransportPolicy ?? "all";
    const limit = setTimeout(() => refuse(new NoWayThrough()), CONNECT_MS);
    const connected = new Promise<void>((resolve, reject) => {
      refuse = reject;
      this.client.on("connected", () => resolve());
      // `connect` itself waits for a bot-ready message, which a bot without RTVI never sends.
      this.client
        .connect({ webrtcRequestParams: { endpoint: session.offerUrl }, iceConfig: { iceServers: session.ice.iceServers ?? [] } })
        .catch(reject);
    });
    try {
      await connected;
    } catch (error) {
      await this.hangUp();
      throw error;
    } finally {
      clearTimeout(limit);
    }
    if (this.over) return;
    this.wasConnected = true;
    this.watch = window.setInterval(() => this.look(), 250);
    this.listener.connected();
  }

  mute(muted: boolean): void {
    this.client.enableMic(!muted);
  }

  stats(): Promise<RTCStatsReport> | null {
    return this.transport.peer?.getStats() ?? null;
  }

  async hangUp(): Promise<void> {
    if (this.over) return;
    this.over = true;
    this.release();
    await this.client.disconnect().catch(() => undefined);
  }

  private finish(how: Ending): void {
    if (this.over) return;
    const talked = this.wasConnected;
    this.over = true;
    this.release();
    void this.client.disconnect().catch(() => undefined);
    if (talked) this.listener.ended(how);
  }

  private release(): void {
    clearInterval(this.watch);
    this.microphone.onReplaced = () => undefined;
  }

  private look(): void {
    const channel = this.transport.channel?.readyState;
    if (channel === "closed" || channel === "closing") {
      this.closedAt ||= performance.now();
      if (performance.now() - this.closedAt > CLOSED_MS && this.transport.peer?.iceConnectionState !== "disconnected") {
        this.finish("bot");
        return;
      }
    } else {
      this.closedAt = 0;
    }
    const state = this.transport.peer?.iceConnectionState;
    const shaky = state === "disconnected" || state === "failed" || state === "checking" || state === "new";
    if (shaky === this.shaky) return;
    this.shaky = shaky;
    if (shaky) this.listener.unstable();
    else this.listener.stable();
  }

  private async replaceTrack(): Promise<void> {
    const sender = this.transport.peer?.getTransceivers()[0]?.sender;
    const before = sender?.track;
    await sender?.replaceTrack(this.microphone.copy() ?? null);
    before?.stop();
  }
}
