/** A number with its noun: `1 shard`, `2 shards`. @param plural where it is not the noun with an s */
export function counted(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}
