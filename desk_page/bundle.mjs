/* `node bundle.mjs FOLDER`: the scripts of the desk page, each in one piece, and DuckDB's program packed as text, into FOLDER. */

import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const folder = process.argv[2];
const here = import.meta.dirname;
const engine = createRequire(import.meta.url).resolve("@duckdb/duckdb-wasm/dist/duckdb-eh.wasm");

await build({
  absWorkingDir: here,
  entryPoints: ["src/worker.ts", "src/page.ts"],
  outdir: folder,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  charset: "ascii",
  legalComments: "none",
  logLevel: "warning",
  // The package lists its blocking form for Node alone, and holds that for browsers beside it.
  alias: { "@duckdb/duckdb-wasm/blocking": path.join(path.dirname(engine), "duckdb-browser-blocking.mjs") },
  external: ["fs", "path", "os", "crypto", "vm"],
});

await writeFile(path.join(folder, "engine.txt"), gzipSync(await readFile(engine), { level: 9 }).toString("base64"));
