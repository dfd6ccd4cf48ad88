/** IEEE 754 half precision (float16) and bfloat16. Node 20 has no typed arrays for them, so bits are in a Uint16Array. */

/** float32 value of every float16 bit pattern */
const HALVES = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 0) HALVES[bits] = sign * mantissa * 2 ** -24;
  else if (exponent === 31) HALVES[bits] = mantissa ? NaN : sign * Infinity;
  else HALVES[bits] = sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

const float = new Float32Array(1);
const floatBits = new Uint32Array(float.buffer);

/** Converts float16 bits to float32, exactly, into `into[at .. at + bits.length)`. */
export function decodeHalf(bits: Uint16Array, into: Float32Array, at = 0): void {
  for (let i = 0; i < bits.length; i++) into[at + i] = HALVES[bits[i]];
}

/** Converts float32 to float16 bits, rounding to nearest even. Values beyond ±65504 (after rounding) become infinite. */
export function encodeHalf(values: Float32Array, into: Uint16Array, at = 0): void {
  for (let i = 0; i < values.length; i++) {
    float[0] = values[i];
    const sign = (floatBits[0] >>> 16) & 0x8000;
    const bits = floatBits[0] & 0x7fffffff;
    let half: number;
    if (bits >= 0x47800000) {
      half = bits > 0x7f800000 ? 0x7e00 : 0x7c00;
    } else if (bits < 0x38800000) {
      // Below the smallest normal float16 (2^-14): adding 0.5 makes the FPU round at the last bit of a subnormal float16.
      floatBits[0] = bits;
      float[0] += 0.5;
      half = floatBits[0] - 0x3f000000;
    } else {
      half = (bits - 0x38000000 + 0xfff + ((bits >>> 13) & 1)) >>> 13;
    }
    into[at + i] = sign | half;
  }
}

/** float32 value of every byte in E4M3 (OCP 8-bit floats: bias 7, no infinity) */
const E4M3 = Float32Array.from({ length: 256 }, (_, bits) => {
  const sign = bits & 0x80 ? -1 : 1;
  const exponent = (bits >> 3) & 15;
  const mantissa = bits & 7;
  if ((bits & 0x7f) === 0x7f) return NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -9 : sign * (1 + mantissa / 8) * 2 ** (exponent - 7);
});

/** Converts 8-bit floats (E4M3, or E5M2, the upper half of a float16) to float32, exactly. */
export function decodeFloat8(bits: Uint8Array, type: 'F8_E4M3' | 'F8_E5M2'): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = type === 'F8_E4M3' ? E4M3[bits[i]] : HALVES[bits[i] << 8];
  return out;
}

/** Converts bfloat16 bits (the upper half of a float32) to float32, exactly. */
export function decodeBfloat16(bits: Uint16Array, into: Float32Array): void {
  const words = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
}

/** Converts float32 to bfloat16 bits, rounding to nearest even. NaN stays NaN. */
export function encodeBfloat16(values: Float32Array, into: Uint16Array, at = 0): void {
  for (let i = 0; i < values.length; i++) {
    float[0] = values[i];
    const bits = floatBits[0];
    const exact = (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : bits + 0x7fff + ((bits >>> 16) & 1);
    into[at + i] = exact >>> 16;
  }
}
