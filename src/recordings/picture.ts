import { createCanvas, ImageData, type Canvas, type SKRSContext2D } from '@napi-rs/canvas';
import { parseAction } from '../agents/grammar.js';
import { INVALID, WAIT } from '../agents/served/agent.js';
import { isTap, type Action, type Point } from '../data/action.js';
import type { Frame } from '../data/formats/frame.js';
import { inWords } from '../agents/action-words.js';
import type { FilmedEpisode } from './filmed.js';
import { setFont, wrapped } from './lettering.js';

/** Heights of the bars above and below the screen, in pixels. */
const TOP = 44;
const BOTTOM = 30;
/** Smallest width in pixels, so that the task's text has room. */
const NARROWEST = 200;
const MARGIN = 8;
const INK = '#ffffff';
const GROUND = '#20242b';
const TOUCH = '#e6007e';
const COLOURS = { success: '#1a7f37', failure: '#c62828', unknown: '#6a5200' } as const;

/** Draws the pictures of a film, all on the same canvas. */
export class FilmPicture {
  readonly canvas: Canvas;
  private readonly paint: SKRSContext2D;
  private readonly screen: Canvas;
  /** the area of the screen */
  private readonly place: { x: number; y: number; width: number; height: number };

  /**
   * @param first the first screen; all screens are drawn at its size
   * @param largest largest width of the drawn screen in pixels; its height is at most 2.5 times that
   */
  constructor(
    private readonly film: FilmedEpisode,
    first: Pick<Frame, 'width' | 'height'>,
    largest: number,
  ) {
    const scale = Math.min(1, largest / first.width, (2.5 * largest) / first.height);
    const [width, height] = [even(first.width * scale), even(first.height * scale)];
    const whole = Math.max(width, NARROWEST);
    this.canvas = createCanvas(whole, height + TOP + BOTTOM);
    this.paint = this.canvas.getContext('2d');
    this.screen = createCanvas(first.width, first.height);
    this.place = { x: Math.floor((whole - width) / 2), y: TOP, width, height };
  }

  /** Sets the screen for the next pictures. */
  show(frame: Frame): void {
    if (frame.width !== this.screen.width || frame.height !== this.screen.height) {
      this.screen.width = frame.width;
      this.screen.height = frame.height;
    }
    // a copy, since an ImageData over the frame's own pixels could change them
    const pixels = new ImageData(new Uint8ClampedArray(frame.rgba), frame.width, frame.height);
    this.screen.getContext('2d').putImageData(pixels, 0, 0);
  }

  /** Draws a step with its action at `progress` (0 to 1). @param step from 0; the number of steps: the ending */
  draw(step: number, progress: number): void {
    const { paint, place, film } = this;
    const { width, height } = this.canvas;
    paint.fillStyle = GROUND;
    paint.fillRect(0, 0, width, height);
    paint.imageSmoothingQuality = 'high';
    paint.drawImage(this.screen, place.x, place.y, place.width, place.height);
    this.caption();
    if (step >= film.steps.length) {
      this.ending();
      return;
    }
    const { action: text } = film.steps[step];
    this.foot(`${step + 1}/${film.steps.length}`, described(text));
    if (progress > 0) this.action(text, progress);
  }

  /** The task, above the screen. */
  private caption(): void {
    const { paint, canvas, film } = this;
    setFont(paint, 13, 700);
    paint.fillStyle = INK;
    paint.textAlign = 'left';
    const lines = wrapped(paint, film.goal, canvas.width - 2 * MARGIN, 2);
    const first = lines.length === 1 ? TOP / 2 + 5 : TOP / 2 - 4;
    lines.forEach((line, i) => paint.fillText(line, MARGIN, first + 17 * i));
  }

  /** Number and description of the step, below the screen. */
  private foot(number: string, words: string): void {
    const { paint, canvas } = this;
    const baseline = canvas.height - BOTTOM / 2 + 5;
    setFont(paint, 13, 700);
    paint.fillStyle = INK;
    paint.textAlign = 'left';
    paint.fillText(number, MARGIN, baseline);
    const used = paint.measureText(number).width + 2 * MARGIN;
    setFont(paint, 13);
    const [line = ''] = wrapped(paint, words, canvas.width - used - MARGIN, 1);
    paint.fillText(line, used, baseline);
  }

  /** The verdict below the screen, and a frame around it. */
  private ending(): void {
    const { paint, canvas, place, film } = this;
    const { verdict, truncated } = film;
    const color = COLOURS[verdict];
    const words = { success: '✓ success', failure: truncated ? '✗ failure: out of steps' : '✗ failure', unknown: '? not judged' }; // prettier-ignore
    paint.fillStyle = color;
    paint.fillRect(0, canvas.height - BOTTOM, canvas.width, BOTTOM);
    paint.strokeStyle = color;
    paint.lineWidth = 6;
    paint.strokeRect(place.x + 3, place.y + 3, place.width - 6, place.height - 6);
    // the marks are drawn as lines, since the font may lack them
    this.mark(verdict, MARGIN + 7, canvas.height - BOTTOM / 2);
    setFont(paint, 14, 700);
    paint.fillStyle = INK;
    paint.textAlign = 'left';
    paint.fillText(words[verdict].slice(2), MARGIN + 22, canvas.height - BOTTOM / 2 + 5);
  }

  private mark(verdict: FilmedEpisode['verdict'], x: number, y: number): void {
    const { paint } = this;
    paint.strokeStyle = INK;
    paint.lineWidth = 3;
    paint.beginPath();
    if (verdict === 'success') {
      paint.moveTo(x - 6, y);
      paint.lineTo(x - 2, y + 5);
      paint.lineTo(x + 6, y - 5);
    } else if (verdict === 'failure') {
      paint.moveTo(x - 5, y - 5);
      paint.lineTo(x + 5, y + 5);
      paint.moveTo(x + 5, y - 5);
      paint.lineTo(x - 5, y + 5);
    } else paint.arc(x, y, 5, 0, 2 * Math.PI);
    paint.stroke();
  }

  private action(text: string, progress: number): void {
    const parsed = parseAction(text);
    if ('invalid' in parsed)
      this.badge(text === WAIT ? text : 'invalid action', text === WAIT ? GROUND : COLOURS.failure);
    else if (parsed.action.type === 'DUAL_POINT') this.touch(parsed.action, progress);
    else if (parsed.action.type === 'TYPE') this.typed(parsed.action.text, progress);
    else this.badge(inWords(text), parsed.action.type.startsWith('STATUS') ? GROUND : TOUCH);
  }

  /** A widening ring for a tap, a growing arrow for a swipe. */
  private touch(action: Extract<Action, { type: 'DUAL_POINT' }>, progress: number): void {
    const { paint } = this;
    const [x, y] = this.at(action.touch);
    const tapped: boolean = isTap(action);
    if (tapped) {
      this.disc(x, y, 7);
      this.ring(x, y, 9 + 13 * progress);
      return;
    }
    const [endX, endY] = this.at(action.lift);
    const [toX, toY] = [x + (endX - x) * progress, y + (endY - y) * progress];
    this.disc(x, y, 7);
    const angle = Math.atan2(endY - y, endX - x);
    for (const [color, width] of [
      [INK, 8],
      [TOUCH, 4],
    ] as const) {
      paint.strokeStyle = color;
      paint.lineWidth = width;
      paint.lineCap = 'round';
      paint.beginPath();
      paint.moveTo(x, y);
      paint.lineTo(toX, toY);
      for (const turn of [0.5, -0.5]) {
        paint.moveTo(toX, toY);
        paint.lineTo(toX - 14 * Math.cos(angle + turn), toY - 14 * Math.sin(angle + turn));
      }
      paint.stroke();
    }
  }

  private disc(x: number, y: number, radius: number): void {
    const { paint } = this;
    paint.beginPath();
    paint.arc(x, y, radius, 0, 2 * Math.PI);
    paint.fillStyle = TOUCH;
    paint.fill();
    paint.strokeStyle = INK;
    paint.lineWidth = 2;
    paint.stroke();
  }

  private ring(x: number, y: number, radius: number): void {
    const { paint } = this;
    for (const [color, width] of [
      [INK, 6],
      [TOUCH, 3],
    ] as const) {
      paint.beginPath();
      paint.arc(x, y, radius, 0, 2 * Math.PI);
      paint.strokeStyle = color;
      paint.lineWidth = width;
      paint.stroke();
    }
  }

  /** The typed part of a text, in a box at the bottom of the screen. */
  private typed(text: string, progress: number): void {
    const { paint, place } = this;
    const width = place.width - 2 * MARGIN;
    setFont(paint, 15, 700);
    const shown = text.slice(0, Math.ceil(text.length * progress));
    const lines = wrapped(paint, shown, width - 2 * MARGIN, 3);
    const height = 20 * Math.max(1, lines.length) + 12;
    const top = place.y + place.height - height - 3 * MARGIN;
    this.box(place.x + MARGIN, top, width, height, TOUCH);
    paint.fillStyle = INK;
    paint.textAlign = 'left';
    lines.forEach((line, i) => paint.fillText(line, place.x + 2 * MARGIN, top + 21 + 20 * i));
  }

  /** A label in the lower half, for actions without a point on the screen. */
  private badge(words: string, color: string): void {
    const { paint, place } = this;
    setFont(paint, 16, 700);
    const [line = ''] = wrapped(paint, words, place.width - 6 * MARGIN, 1);
    const width = paint.measureText(line).width + 4 * MARGIN;
    const top = place.y + place.height * 0.72;
    this.box(place.x + (place.width - width) / 2, top, width, 34, color);
    paint.fillStyle = INK;
    paint.textAlign = 'center';
    paint.fillText(line, place.x + place.width / 2, top + 22);
  }

  private box(x: number, y: number, width: number, height: number, color: string): void {
    const { paint } = this;
    paint.beginPath();
    paint.roundRect(x, y, width, height, 8);
    paint.fillStyle = color;
    paint.fill();
    paint.strokeStyle = INK;
    paint.lineWidth = 2;
    paint.stroke();
  }

  private at([y, x]: Point): [number, number] {
    const { place } = this;
    return [place.x + x * place.width, place.y + y * place.height];
  }
}

/** An action in a few words; a served agent's waits and invalid answers stay as they are. */
function described(text: string): string {
  return text === WAIT || text.startsWith(INVALID) ? text : inWords(text);
}

/** The nearest even number of pixels, since some players round odd sides. */
function even(pixels: number): number {
  return Math.max(2, 2 * Math.round(pixels / 2));
}
