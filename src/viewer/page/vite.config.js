import { defineConfig } from 'vite';

/** The viewer's page: everything it needs in a few files that the viewer's own server has. */
export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  build: {
    outDir: '../../../dist/viewer',
    emptyOutDir: true,
    // a data: URL would be against the page's content security policy
    assetsInlineLimit: 0,
    // the one browser feature that is needed by all of it is of 2022
    target: 'es2022',
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
