/** One screenshot: width × height pixels, 4 bytes each (RGBA, row by row from the top left). */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly rgba: Uint8ClampedArray;
}
