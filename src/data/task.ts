/** A task: what the agent is told, and whatever the device needs to set it up and judge it (opaque to everyone else). */
export interface Task {
  /** stable name, unique in its list */
  readonly id: string;
  /** the instruction the agent sees */
  readonly text: string;
  /** kind of task, for success rates by family (`webshop-3`, `general-clock`, ...) */
  readonly family: string;
  /** the device's own description of the goal, for judges that know the device's state */
  readonly goal?: Readonly<Record<string, unknown>>;
}
