/** A task: the agent's instruction, and what the device needs to set it up and judge it (opaque to all other code). */
export interface Task {
  /** stable id, unique in its list */
  readonly id: string;
  /** the instruction the agent sees */
  readonly text: string;
  /** kind of task, for success rates per family (`webshop-3`, `general-clock`, ...) */
  readonly family: string;
  /** the device's own description of the goal, for judges that know the device's state */
  readonly goal?: Readonly<Record<string, unknown>>;
}
