/** Runs in the audio thread: tells how loud each stretch of 20 ms was, and where in it sound above the threshold began. */

interface Processor {
  readonly port: MessagePort;
}
declare const AudioWorkletProcessor: { new (): Processor };
declare function registerProcessor(name: string, processor: new () => Processor): void;
declare const currentTime: number;
declare const sampleRate: number;

/** −45 dBFS: the first sample above it is the first that can be heard. `voicedeploy call` measures by the same. */
const AUDIBLE = 10 ** (-45 / 20);
const STRETCH_S = 0.02;

class Meter extends AudioWorkletProcessor {
  private began = -1;
  private samples = 0;
  private energy = 0;
  private firstAudible = -1;

  process(inputs: Float32Array[][]): boolean {
    if (this.began < 0) this.began = currentTime;
    const channel = inputs[0]?.[0];
    if (channel) {
      for (let i = 0; i < channel.length; i++) {
        const sample = channel[i] ?? 0;
        this.energy += sample * sample;
        if (this.firstAudible < 0 && Math.abs(sample) > AUDIBLE) this.firstAudible = currentTime + i / sampleRate;
      }
    }
    this.samples += channel?.length ?? 128;
    if (this.samples >= STRETCH_S * sampleRate) {
      this.port.postMessage({
        began: this.began,
        ended: this.began + this.samples / sampleRate,
        rms: Math.sqrt(this.energy / this.samples),
        firstAudible: this.firstAudible,
      });
      this.began = -1;
      this.samples = 0;
      this.energy = 0;
      this.firstAudible = -1;
    }
    return true;
  }
}

registerProcessor("meter", Meter);
