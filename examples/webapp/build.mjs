// Builds src/ into dist/: assets get the hash of their content into their names, pages refer to them by it.
// A bundler does the same; this needs nothing but Node.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";

const { version } = JSON.parse(readFileSync("package.json", "utf8"));
rmSync("dist", { recursive: true, force: true });
cpSync("src", "dist", { recursive: true, filter: (path) => path !== join("src", "assets") });

const names = new Map();
mkdirSync(join("dist", "assets"));
for (const file of readdirSync(join("src", "assets")).sort()) {
  const content = readFileSync(join("src", "assets", file), "utf8").replaceAll("VERSION", JSON.stringify(version));
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8);
  const extension = extname(file);
  const name = `${file.slice(0, -extension.length)}-${hash}${extension}`;
  writeFileSync(join("dist", "assets", name), content);
  names.set(file, name);
}

for (const page of readdirSync("dist", { recursive: true }).filter((path) => path.endsWith(".html"))) {
  let html = readFileSync(join("dist", page), "utf8");
  for (const [file, name] of names) html = html.replaceAll(`/assets/${file}"`, `/assets/${name}"`);
  writeFileSync(join("dist", page), html);
}

// For image-tagger: proof that this was built from this version's sources.
writeFileSync(join("dist", "version.json"), JSON.stringify({ version }) + "\n");
console.log(`built ${version}: ${[...names.values()].join(", ")}`);
