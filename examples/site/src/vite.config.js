import { resolve } from "node:path";
import { defineConfig } from "vite";

// See README.md. The versions differ in their timetable and colour.
const version = process.env.SITE_VERSION ?? "2";

export default defineConfig({
  define: { __SITE_VERSION__: JSON.stringify(version) },
  resolve: {
    alias: {
      timetable: resolve(`src/timetable-${version}.json`),
      accent: resolve(`src/accent-${version}.css`),
    },
  },
  build: {
    outDir: resolve(`../v${version}`),
    emptyOutDir: true,
    // Every asset a file of its own, however small.
    assetsInlineLimit: 0,
    sourcemap: true,
    rollupOptions: { input: { main: resolve("index.html"), about: resolve("about/index.html") } },
  },
});
