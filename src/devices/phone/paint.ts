import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { createCanvas, GlobalFonts, type Canvas, type SKRSContext2D } from '@napi-rs/canvas';
import { RunError } from '../../errors.js';
import type { Rect } from './geometry.js';

export type Paint = SKRSContext2D;

const FAMILY = 'critiq phone';
const fonts = join(dirname(createRequire(import.meta.url).resolve('@fontsource/roboto/package.json')), 'files');
for (const weight of [400, 500, 700]) {
  const file = join(fonts, `roboto-latin-${weight}-normal.woff2`);
  // a private family name: a Roboto installed on the machine must not change the pixels
  if (!GlobalFonts.registerFromPath(file, FAMILY)) {
    throw new RunError(`phone: cannot load the font ${file}; reinstall critiq's packages (npm ci)`);
  }
}

export interface TextStyle {
  readonly size: number;
  readonly weight?: 400 | 500 | 700;
  readonly color?: string;
  readonly align?: 'left' | 'center' | 'right';
  /** pixels; a longer text is cut and ends with an ellipsis */
  readonly maxWidth?: number;
}

/** Draws one line of text; y is its vertical centre. */
export function text(paint: Paint, line: string, x: number, y: number, style: TextStyle): void {
  const font = `${style.weight ?? 400} ${style.size}px "${FAMILY}"`;
  paint.font = font;
  paint.fillStyle = style.color ?? INK;
  paint.textAlign = style.align ?? 'left';
  paint.textBaseline = 'alphabetic';
  paint.fillText(style.maxWidth ? fitted(paint, font, line, style.maxWidth) : line, x, y + style.size * 0.36);
}

const MAX_FITTED = 4096;
const fittedLines = new Map<string, string>();

/** The line cut to the width in the current font. Results are cached, since measuring costs more than drawing. */
function fitted(paint: Paint, font: string, line: string, width: number): string {
  const key = `${font} ${width} ${line}`;
  let shown = fittedLines.get(key);
  if (shown === undefined) {
    if (fittedLines.size >= MAX_FITTED) fittedLines.delete(fittedLines.keys().next().value!);
    shown = cut(paint, line, width);
    fittedLines.set(key, shown);
  }
  return shown;
}

function cut(paint: Paint, line: string, width: number): string {
  if (paint.measureText(line).width <= width) return line;
  let length = Math.min(line.length, 80);
  while (length > 0 && paint.measureText(line.slice(0, length) + '…').width > width) length--;
  return line.slice(0, length) + '…';
}

/** A filled rectangle with corners of `radius` pixels. */
export function box(paint: Paint, rect: Rect, color: string, radius = 0): void {
  paint.fillStyle = color;
  if (radius === 0) {
    paint.fillRect(rect.x, rect.y, rect.w, rect.h);
  } else {
    paint.beginPath();
    paint.roundRect(rect.x, rect.y, rect.w, rect.h, radius);
    paint.fill();
  }
}

/** The outline of a rectangle, drawn inside it. */
export function frame(paint: Paint, rect: Rect, color: string, radius: number, width = 1): void {
  paint.strokeStyle = color;
  paint.lineWidth = width;
  paint.beginPath();
  paint.roundRect(rect.x + width / 2, rect.y + width / 2, rect.w - width, rect.h - width, radius);
  paint.stroke();
}

/** A white card with a soft lower edge. */
export function card(paint: Paint, rect: Rect, color = '#ffffff', radius = 8): void {
  box(paint, { ...rect, y: rect.y + 1.5 }, 'rgba(0,0,0,0.14)', radius);
  box(paint, rect, color, radius);
}

export function disc(paint: Paint, x: number, y: number, radius: number, color: string): void {
  paint.fillStyle = color;
  paint.beginPath();
  paint.arc(x, y, radius, 0, 2 * Math.PI);
  paint.fill();
}

/** A filled polygon through the points [x, y]. */
export function polygon(paint: Paint, points: readonly (readonly [number, number])[], color: string): void {
  paint.fillStyle = color;
  paint.beginPath();
  points.forEach(([x, y], i) => (i === 0 ? paint.moveTo(x, y) : paint.lineTo(x, y)));
  paint.closePath();
  paint.fill();
}

/** A line through the points [x, y] with round ends. */
export function stroke(paint: Paint, points: readonly (readonly [number, number])[], color: string, width = 3): void {
  paint.strokeStyle = color;
  paint.lineWidth = width;
  paint.lineCap = 'round';
  paint.lineJoin = 'round';
  paint.beginPath();
  points.forEach(([x, y], i) => (i === 0 ? paint.moveTo(x, y) : paint.lineTo(x, y)));
  paint.stroke();
}

/** An arc; angles in turns, 0 to the right, clockwise. */
export function arc(
  paint: Paint,
  x: number,
  y: number,
  radius: number,
  from: number,
  to: number,
  color: string,
  width = 3,
): void {
  paint.strokeStyle = color;
  paint.lineWidth = width;
  paint.lineCap = 'round';
  paint.beginPath();
  paint.arc(x, y, radius, from * 2 * Math.PI, to * 2 * Math.PI);
  paint.stroke();
}

const MAX_PIECES = 1024;
const pieces = new Map<string, Canvas>();

/**
 * A picture that is drawn once for each key and cached (the oldest are dropped first): icons, keyboards and goods consist of
 * many paths but never change. Shared by all phones of the process.
 */
export function piece(key: string, width: number, height: number, draw: (paint: Paint) => void): Canvas {
  let canvas = pieces.get(key);
  if (!canvas) {
    if (pieces.size >= MAX_PIECES) pieces.delete(pieces.keys().next().value!);
    canvas = createCanvas(width, height);
    draw(canvas.getContext('2d'));
    pieces.set(key, canvas);
  }
  return canvas;
}

export const INK = '#202124';
export const GREY = '#5f6368';
export const LINE = '#dadce0';
export const PALE = '#f1f3f4';
export const BLUE = '#1a73e8';
