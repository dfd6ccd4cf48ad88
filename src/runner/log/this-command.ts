let args: readonly string[] | null = null;

/** Says which command line this process runs, for the log of the run; null: it uses critiq as a library. */
export function nameCommand(line: readonly string[] | null): void {
  args = line;
}

/** The command line of this process, as `main` named it. */
export function thisCommand(): readonly string[] | null {
  return args;
}
