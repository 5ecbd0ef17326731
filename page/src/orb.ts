/** The bot as a calm light that swells with its voice; around it a ring that moves with yours. */

import type { Levels } from "./levels";

const TICKS = 72;
const TURN = Math.PI * 2;
/** Smooth enough for something this calm, at half the cost: the bot may run on the same machine. */
const FRAME_MS = 1000 / 31;

export class Orb {
  private levels: Levels | null = null;
  private awake = false;
  private frame = 0;
  private bot = 0;
  private readonly trace = new Float32Array(TICKS / 2 + 1);
  private readonly still = matchMedia("(prefers-reduced-motion: reduce)");
  private readonly context: CanvasRenderingContext2D;
  private colours!: Record<"bot" | "botEdge" | "you" | "rest", string>;
  private painted = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d")!;
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
    this.resize();
  }

  /** With levels it moves; without it rests, and costs nothing. */
  attach(levels: Levels | null): void {
    this.levels = levels;
    cancelAnimationFrame(this.frame);
    const step = (now: number): void => {
      if (now - this.painted >= FRAME_MS) {
        this.advance();
        this.paint(now);
      }
      const calm = !this.levels && this.bot < 0.005 && this.trace.every((value) => value < 0.005);
      if (!calm) this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }

  wake(awake: boolean): void {
    this.awake = awake;
    this.paint(this.painted);
  }

  private advance(): void {
    const bot = this.levels?.level.bot ?? 0;
    this.bot += (bot - this.bot) * (bot > this.bot ? 0.55 : 0.2);
    const you = this.levels?.level.you ?? 0;
    for (let i = this.trace.length - 1; i > 0; i--) this.trace[i] = this.trace[i - 1]! * 0.97;
    this.trace[0] = this.trace[0]! * 0.3 + you * 0.7;
  }

  private resize(): void {
    const scale = Math.min(devicePixelRatio || 1, 2);
    const size = this.canvas.clientWidth;
    this.canvas.width = this.canvas.height = Math.round(size * scale);
    const style = getComputedStyle(this.canvas);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    this.colours = {
      bot: colour("--orb-core"),
      botEdge: colour("--orb-edge"),
      you: colour("--you"),
      rest: colour("--tick"),
    };
    this.paint(this.painted);
  }

  private paint(now: number): void {
    this.painted = now;
    const { context, canvas } = this;
    const size = canvas.width;
    if (!size) return;
    const middle = size / 2;
    const time = this.still.matches ? 0 : now / 1000;
    context.clearRect(0, 0, size, size);

    const radius = size * (0.235 + 0.055 * this.bot);
    const glow = context.createRadialGradient(middle, middle, radius * 0.6, middle, middle, size * 0.5);
    glow.addColorStop(0, this.colours.botEdge);
    glow.addColorStop(1, `${this.colours.botEdge}00`); // "transparent" is black, and shows
    context.globalAlpha = (this.awake ? 0.22 : 0.12) + 0.38 * this.bot;
    context.fillStyle = glow;
    context.fillRect(0, 0, size, size);

    context.globalAlpha = 1;
    const body = context.createRadialGradient(middle - radius * 0.35, middle - radius * 0.45, radius * 0.1, middle, middle, radius * 1.25);
    body.addColorStop(0, this.colours.bot);
    body.addColorStop(1, this.colours.botEdge);
    context.fillStyle = body;
    context.beginPath();
    const wobble = this.still.matches ? 0 : 0.012 + 0.065 * this.bot;
    for (let i = 0; i <= 96; i++) {
      const angle = (i / 96) * TURN;
      const wave = Math.sin(angle * 3 + time * 1.7) + 0.6 * Math.sin(angle * 5 - time * 2.3) + 0.4 * Math.sin(angle * 2 + time * 0.9);
      const r = radius * (1 + wobble * 0.5 * wave);
      context.lineTo(middle + r * Math.cos(angle), middle + r * Math.sin(angle));
    }
    context.closePath();
    context.fill();

    context.globalAlpha = 1;
    context.lineCap = "round";
    context.lineWidth = size * 0.0085;
    const inner = size * 0.385;
    for (let i = 0; i < TICKS; i++) {
      const value = this.trace[Math.min(i, TICKS - i)] ?? 0;
      const angle = (i / TICKS) * TURN + TURN / 4;
      const length = size * (0.004 + 0.085 * value);
      context.strokeStyle = value > 0.06 ? this.colours.you : this.colours.rest;
      context.beginPath();
      context.moveTo(middle + inner * Math.cos(angle), middle + inner * Math.sin(angle));
      context.lineTo(middle + (inner + length) * Math.cos(angle), middle + (inner + length) * Math.sin(angle));
      context.stroke();
    }
  }
}
