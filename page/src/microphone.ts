/** The caller's microphone, in the shape that Pipecat's transport expects of a media manager: audio only, no foreign code. */

export class Microphone {
  readonly supportsScreenShare = false;
  /** Called with the new track after another microphone was chosen or the old one was unplugged. */
  onReplaced: (track: MediaStreamTrack) => void = () => undefined;
  onLost: () => void = () => undefined;

  private track: MediaStreamTrack | null = null;
  private readonly sent = new Set<MediaStreamTrack>();
  private muted = false;

  get source(): MediaStreamTrack | null {
    return this.track;
  }

  get deviceId(): string | undefined {
    return this.track?.getSettings().deviceId;
  }

  /** Throws what `getUserMedia` throws. A device that is gone falls back to the default one. */
  async open(deviceId?: string): Promise<MediaStreamTrack> {
    const audio: MediaTrackConstraints = {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
      ...(deviceId ? { deviceId: { ideal: deviceId } } : {}),
    };
    const stream = await navigator.mediaDevices.getUserMedia({ audio, video: false });
    const track = stream.getAudioTracks()[0];
    if (!track) throw new DOMException("no audio track", "NotFoundError");
    this.track?.stop();
    this.track = track;
    track.enabled = !this.muted;
    track.addEventListener("ended", () => {
      if (this.track === track) void this.choose().catch(() => this.onLost());
    });
    return track;
  }

  async choose(deviceId?: string): Promise<void> {
    const track = await this.open(deviceId);
    this.onReplaced(track);
  }

  /** A copy to send: the transport stops what it has sent when it reconnects, and the microphone must outlive that. */
  copy(): MediaStreamTrack | undefined {
    const copy = this.track?.clone();
    if (copy) {
      copy.enabled = !this.muted;
      this.sent.add(copy);
    }
    return copy;
  }

  close(): void {
    this.stopCopies();
    this.track?.stop();
    this.track = null;
  }

  async devices(): Promise<MediaDeviceInfo[]> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "audioinput" && device.deviceId !== "" && device.deviceId !== "communications");
  }

  // ---- what the transport asks of a media manager

  setClientOptions(): void {}
  async initialize(): Promise<void> {}
  async connect(): Promise<void> {}
  async disconnect(): Promise<void> {
    this.stopCopies();
  }

  get isMicEnabled(): boolean {
    return !this.muted;
  }

  enableMic(enable: boolean): void {
    this.muted = !enable;
    if (this.track) this.track.enabled = enable;
    for (const copy of this.sent) copy.enabled = enable;
  }

  tracks(): { local: { readonly audio?: MediaStreamTrack } } {
    const copy = (): MediaStreamTrack | undefined => this.copy();
    return {
      local: {
        // The transport reads this once for each peer connection it makes.
        get audio() {
          return copy();
        },
      },
    };
  }

  getAllMics(): Promise<MediaDeviceInfo[]> {
    return this.devices();
  }
  updateMic(deviceId: string): Promise<void> {
    return this.choose(deviceId);
  }
  get selectedMic(): Record<string, never> {
    return {};
  }

  readonly isCamEnabled = false;
  readonly isSharingScreen = false;
  readonly selectedCam = {};
  readonly selectedSpeaker = {};
  getAllCams(): Promise<MediaDeviceInfo[]> {
    return Promise.resolve([]);
  }
  getAllSpeakers(): Promise<MediaDeviceInfo[]> {
    return Promise.resolve([]);
  }
  updateCam(): void {}
  updateSpeaker(): void {}
  enableCam(): void {}
  enableScreenShare(): void {}

  private stopCopies(): void {
    for (const copy of this.sent) copy.stop();
    this.sent.clear();
  }
}

export type MicrophoneTrouble = "insecure" | "denied" | "missing" | "in-use" | "unknown";

/** Why there is no microphone, in the cases that the caller can do something about. */
export function trouble(error: unknown): MicrophoneTrouble {
  if (!window.isSecureContext || !navigator.mediaDevices) return "insecure";
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "in-use";
    default:
      return "unknown";
  }
}

/** True when opening the microphone will not ask: then the time it takes belongs to the call, not to the caller. */
export async function isGranted(): Promise<boolean> {
  try {
    const status = await navigator.permissions.query({ name: "microphone" as PermissionName });
    return status.state === "granted";
  } catch {
    return false;
  }
}
