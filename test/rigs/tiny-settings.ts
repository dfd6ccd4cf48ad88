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
