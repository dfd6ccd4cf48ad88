import type { InitializeHook, ResolveHook } from 'node:module';

/**
 * A module hook of Node (https://nodejs.org/api/module.html#customization-hooks), which runs in a thread of its own:
 * `critiq` and `critiq/...` are resolved from critiq's own folder, by its package.json's `exports`.
 */
let parent: string | undefined;

export const initialize: InitializeHook<{ readonly parent: string }> = (data) => {
  parent = data.parent;
};

export const resolve: ResolveHook = (specifier, context, next) =>
  /^critiq(\/|$)/.test(specifier) ? next(specifier, { ...context, parentURL: parent }) : next(specifier, context);
