// Builds the page's script and style into the package: `npm ci && npm run build`.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const out = "../src/unrolled/explaining/page/bundle/";

await build({
  entryPoints: { page: "src/main.js" },
  outdir: out,
  bundle: true,
  minify: true,
  charset: "utf8",
  legalComments: "none",
  format: "esm",
  target: "es2022",
});
await build({
  entryPoints: { page: "src/page.css" },
  outdir: out,
  minify: true,
  charset: "utf8",
  target: ["chrome110", "firefox115", "safari16"],
});

const licences = ["preact", "htm"].map(
  (name) => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`,
);
writeFileSync(`${out}LICENSES.txt`, `page.js contains:\n\n${licences.join("\n\n")}`);
