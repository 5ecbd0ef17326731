/** Listens to both sides of the call: levels for the eye, stretches of sound for the figures. */

import type { Stretch } from "./timing";

export type Side = "you" | "bot";

export class Levels {
  /** 0 … 1, for a meter: −60 dBFS … −10 dBFS. */
  readonly level: Record<Side, number> = { you: 0, bot: 0 };
  onStretch: (side: Side, stretch: Stretch) => void = () => undefined;

  private readonly context = new AudioContext({ latencyHint: "interactive" });
  private readonly loaded: Promise<boolean>;
  private readonly nodes: Partial<Record<Side, AudioNode[]>> = {};

  /** To be made in the handler of a click: browsers let sound begin only there. */
  constructor() {
    void this.context.resume().catch(() => undefined);
    const module = new URL("assets/meter.js", document.baseURI).href;
    // Without the meter there are no figures; the call itself does not need it.
    this.loaded = this.context.audioWorklet.addModule(module).then(
      () => true,
      () => false,
    );
  }

  async listen(side: Side, track: MediaStreamTrack): Promise<void> {
    if (!(await this.loaded) || this.context.state === "closed") return;
    this.forget(side);
    const source = this.context.createMediaStreamSource(new MediaStream([track]));
    const meter = new AudioWorkletNode(this.context, "meter", { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [1] });
    meter.port.onmessage = (event: MessageEvent<Stretch>) => {
      this.level[side] = meterLevel(event.data.rms);
      this.onStretch(side, event.data);
    };
    // A node is only run when it leads somewhere; its output is silence.
    source.connect(meter).connect(this.context.destination);
    this.nodes[side] = [source, meter];
  }

  forget(side: Side): void {
    for (const node of this.nodes[side] ?? []) node.disconnect();
    delete this.nodes[side];
    this.level[side] = 0;
  }

  /** The moment `contextTime` (seconds of the audio clock) on the clock of `performance.now()`, in milliseconds. */
  moment(contextTime: number): number {
    return performance.now() - (this.context.currentTime - contextTime) * 1000;
  }

  async close(): Promise<void> {
    this.forget("you");
    this.forget("bot");
    if (this.context.state !== "closed") await this.context.close();
  }
}

export function meterLevel(rms: number): number {
  const decibels = 20 * Math.log10(Math.max(rms, 1e-7));
  return Math.min(Math.max((decibels + 60) / 50, 0), 1);
}
