/** Repeated texts, each kept once and named by a number. */
export class Interned {
  private readonly numbers = new Map<string, number>();
  private readonly kept: string[] = [];

  /** The number of a text; a new one for a new text. */
  of(text: string): number {
    let number = this.numbers.get(text);
    if (number === undefined) {
      number = this.kept.length;
      this.kept.push(text);
      this.numbers.set(text, number);
    }
    return number;
  }

  text(number: number): string {
    return this.kept[number];
  }

  get texts(): readonly string[] {
    return this.kept;
  }
}
