/** Most bytes of an answer that is read as a whole: of a list of models, runs or experiments. */
const LONGEST = 8 << 20;

/**
 * The body of a response as text.
 * @param tooLong the error for a body of more than `most` bytes, of which the rest is then not read
 */
export async function bodyText(
  response: Response,
  most = LONGEST,
  tooLong = () => new Error(`an answer of more than ${most} bytes`),
): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += piece.length;
    // leaving the loop cancels the rest
    if (length > most) throw tooLong();
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
