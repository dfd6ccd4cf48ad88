/** Command-line settings for a fast run of everything after the base policy; it learns next to nothing. */
export const TINY_OFFLINE: readonly string[] = [
  'collect.episodes=8',
  'collect.shard=5',
  'vlm.transitions=20',
  'vlm.epochs=1',
  'vlm.batch=4',
  'critic.text_width=8',
  'critic.q_hidden=[16]',
  'critic.v_hidden=[16]',
  'critic.batch_size=8',
  'critic.iterations=2',
  'critic.epochs=2',
  'actor.loss=sft',
  'actor.batch_size=4',
  'actor.iterations=2',
  'eval.episodes=6',
  'eval.shard=4',
];

/** The same for `online`. */
export const TINY_ONLINE: readonly string[] = [
  'online.offline_iterations=1',
  'online.batch_size=4',
  'online.eval_every=2',
  'online.text_width=8',
  'online.text_layers=1',
  'online.text_heads=2',
  'online.text_tokens=32',
  'online.digirl.hidden=[8]',
  'online.digirl.top=1',
  // no episode succeeds here, so the outcome must not decide
  'online.digirl.keep_above=-1',
  'online.coso.width=8',
  'online.coso.layers=1',
  'online.coso.heads=2',
  'online.coso.feed_forward=8',
  'online.coso.batch_size=8',
];

/** A list of one task for the embedded phone. */
export const TINY_TASKS = '{"id":"clock","text":"Open the clock","goal":{"kind":"open","app":"clock"}}\n';

/**
 * Settings for a fast `critiq demo` whose base policy succeeds in some episodes, as Filtered BC needs. They name the file
 * tasks.jsonl, of TINY_TASKS.
 */
export const TINY_DEMO: readonly string[] = [
  ...TINY_OFFLINE,
  'tasks.train_file=tasks.jsonl',
  'tasks.test_file=tasks.jsonl',
  'tasks.max_steps=3',
  'tasks.rows=8',
  'tasks.columns=4',
  'device.count=4',
  'demos.episodes=60',
  'demos.noise=0',
  'sft.epochs=24',
  'sft.batch=4',
  'sft.lr=1e-2',
  'sft.warmup=5',
  'sft.width=32',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=32',
  'collect.episodes=24',
  'collect.shard=24',
  'collect.temperature=0',
  'candidates.samples=3',
  'report.evals=[base-test, filteredbc-test, digiq-test]',
  'report.compare=[base-test, digiq-test]',
];
