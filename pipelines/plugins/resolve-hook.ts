import type { InitializeHook, ResolveHook } from 'node:module';

/**
 * A module hook of Node (https://nodejs.org/api/module.html#customization-hooks); it runs in its own thread. It resolves
 * `critiq` and `critiq/...` from critiq's own folder, by the `exports` of its package.json.
 */
let parent: string | undefined;

export const initialize: InitializeHook<{ readonly parent: string }> = (data) => {
  parent = data.parent;
};

export const resolve: ResolveHook = (specifier, context, next) =>
  /^critiq(\/|$)/.test(specifier) ? next(specifier, { ...context, parentURL: parent }) : next(specifier, context);
