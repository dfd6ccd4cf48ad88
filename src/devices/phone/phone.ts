import { createCanvas, type Canvas } from '@napi-rs/canvas';
import { RunError } from '../../errors.js';
import type { Action } from '../../data/action.js';
import type { Applied, Deadline, Device, ResetLevel } from '../device.js';
import type { Task } from '../../data/task.js';
import type { Frame } from '../../data/formats/frame.js';
import { paintView, type View } from './element.js';
import { SCREEN, type Pixel } from './geometry.js';
import { initialHard, isHard } from './hard/goal.js';
import { goalOf, isAchieved, prepare, type Goal } from './goal.js';
import { initialState, stateText, type PhoneState } from './state.js';
import { applyAction, applyFinger } from './touch.js';
import { viewOf } from './view.js';
import { DEFAULT_SURPRISES, World, type Surprises } from './world.js';

export interface PhoneSettings {
  readonly surprises: Surprises;
}

/**
 * An Android-like phone in process. Its state depends only on the seed of `begin` and the actions since, so the same seed and
 * actions always give the same pixels. The synchronous methods (`begin`, `apply`, `frame`) match those of Device, without
 * promises, for callers that run many phones in lockstep.
 */
export class Phone implements Device {
  readonly size = SCREEN;
  /** what it paints on; copies share it, since a frame is a copy of its pixels */
  private paper: { canvas?: Canvas } = {};
  private episode: { task: Task; goal: Goal; world: World; state: PhoneState } | undefined;
  private current: View | undefined;
  private picture: Frame | undefined;

  constructor(
    readonly id: string = 'phone-0',
    private readonly settings: PhoneSettings = { surprises: DEFAULT_SURPRISES },
  ) {}

  /** Starts an episode at the launcher of the seed's phone. @throws UserError for a task of another device */
  begin(task: Task, seed: number): void {
    const goal = goalOf(task);
    const state = initialState(seed);
    prepare(state, goal);
    if (isHard(goal)) state.hard = initialHard(goal);
    this.episode = { task, goal, world: new World(seed, this.settings.surprises, isHard(goal)), state };
    this.changed();
  }

  /** Applies an action; the next frame shows the effect. */
  apply(action: Action): void {
    this.change((world, state, view) => applyAction(world, state, view, action));
  }

  /** A tap on a pixel, or a swipe from it to another: `apply` of a DUAL_POINT, for drivers that work in pixels. */
  finger(from: Pixel, to?: Pixel): void {
    this.change((world, state, view) => applyFinger(world, state, view, from, to));
  }

  /**
   * The current pixels; the same object until an action changes something (half of an untrained policy's actions do not). The
   * memory of old frames is freed when the event loop turns: a loop that never awaits pays about 3 ms a frame for fresh
   * memory instead of 0.2.
   */
  frame(): Frame {
    this.picture ??= this.paint();
    return this.picture;
  }

  /** Whether the current screen reaches the task's goal. */
  achieved(): boolean {
    return this.reached(this.running().goal);
  }

  /** Whether the current screen reaches the given goal. */
  reached(goal: Goal): boolean {
    const { world, state } = this.running();
    return isAchieved(world, state, goal);
  }

  /**
   * Another phone in the same state, with the same episode: what happens to one does not touch the other. Much cheaper than
   * replaying the actions.
   */
  copy(): Phone {
    const { task, goal, world, state } = this.running();
    const twin = new Phone(this.id, this.settings);
    // nothing that an action does changes the task, the goal or the world
    twin.episode = { task, goal, world, state: structuredClone(state) };
    twin.picture = this.picture;
    twin.paper = this.paper;
    return twin;
  }

  /** The state as text: phones of one episode with the same text show the same screen and go on alike. */
  stateText(): string {
    return stateText(this.running().state);
  }

  /** The elements of the screen, from back to front; for demonstrators and diagnosis, never for agents. */
  view(): View {
    const { world, state } = this.running();
    this.current ??= viewOf(world, state);
    return this.current;
  }

  /** The phone's state; for demonstrators and diagnosis, never for agents. */
  get state(): Readonly<PhoneState> {
    return this.running().state;
  }

  /** Everything about the episode that actions do not change; copies of a phone share it. */
  get world(): World {
    return this.running().world;
  }

  get task(): Task {
    return this.running().task;
  }

  async reset(_level: ResetLevel, { task, seed }: { task: Task; seed: number } & Deadline): Promise<void> {
    this.begin(task, seed);
  }

  async screenshot(_deadline: Deadline): Promise<Frame> {
    return this.frame();
  }

  async act(action: Action, _deadline: Deadline): Promise<{ applied: Applied }> {
    this.apply(action);
    return { applied: 'yes' };
  }

  async health(): Promise<'ok'> {
    return 'ok';
  }

  /** Frees the canvas and ends the episode; `begin` starts another. */
  async close(): Promise<void> {
    this.paper = {};
    this.episode = undefined;
    this.changed();
  }

  private change(how: (world: World, state: PhoneState, view: View) => void): void {
    const { world, state } = this.running();
    const before = stateText(state);
    how(world, state, this.view());
    this.current = undefined; // its elements refer to pages that the action may have replaced by equal ones
    if (stateText(state) !== before) this.picture = undefined;
  }

  private running(): NonNullable<typeof this.episode> {
    if (!this.episode) throw new RunError(`phone ${this.id}: no episode is running; call begin or reset first`);
    return this.episode;
  }

  private changed(): void {
    this.current = undefined;
    this.picture = undefined;
  }

  private paint(): Frame {
    const view = this.view();
    this.paper.canvas ??= createCanvas(SCREEN.width, SCREEN.height);
    const paint = this.paper.canvas.getContext('2d');
    paintView(paint, view);
    return { ...SCREEN, rgba: paint.getImageData(0, 0, SCREEN.width, SCREEN.height).data };
  }
}

/** Phones named phone-0, phone-1, ... */
export function createPhones(count: number, settings?: PhoneSettings): Phone[] {
  return Array.from({ length: count }, (_, i) => new Phone(`phone-${i}`, settings));
}
