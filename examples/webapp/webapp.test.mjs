import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";

test("every asset that the page refers to was built", () => {
  const html = readFileSync("dist/index.html", "utf8");
  const assets = [...html.matchAll(/"\/(assets\/[^"]+)"/g)].map(([, path]) => path);
  assert.equal(assets.length, 2);
  for (const path of assets) assert.ok(existsSync(`dist/${path}`), path);
});
