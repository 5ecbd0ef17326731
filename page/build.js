// Builds the page into ../voicedeploy/serve/page (or the folder given), the same bytes every time.
//   node build.js [FOLDER]      node build.js --test   bundles test/ into .test/ for `node --test`
import { readdirSync, readFileSync, rmSync, mkdirSync, writeFileSync, existsSync, copyFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const common = { bundle: true, format: "esm", charset: "utf8", target: ["chrome109", "firefox115", "safari16"], logLevel: "warning" };

if (process.argv[2] === "--test") {
  await esbuild.build({ ...common, entryPoints: readdirSync("test").map((name) => `test/${name}`), outdir: ".test", platform: "node", target: "node20" });
} else {
  const out = resolve(process.argv[2] ?? "../voicedeploy/serve/page");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, "assets"), { recursive: true });
  const { metafile } = await esbuild.build({
    ...common,
    entryPoints: { app: "src/main.ts", meter: "src/meter.ts" },
    outdir: join(out, "assets"),
    minify: true,
    legalComments: "none", // their licences stand in licenses.txt
    metafile: true,
  });
  await esbuild.build({ ...common, entryPoints: { app: "src/page.css" }, outdir: join(out, "assets"), minify: true });
  copyFileSync("src/index.html", join(out, "index.html"));
  copyFileSync("src/icon.svg", join(out, "assets/icon.svg"));
  writeFileSync(join(out, "assets/licenses.txt"), licences(Object.keys(metafile.inputs)));
}

/** The licences of everything that the bundle contains, as they ask for. */
function licences(inputs) {
  const packages = new Set();
  for (const input of inputs) {
    const match = input.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (match) packages.add(match[1]);
  }
  const parts = ["assets/app.js contains these packages:\n"];
  for (const name of [...packages].sort()) {
    const folder = join("node_modules", name);
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).sort().find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    const text = file ? readFileSync(join(folder, file), "utf8") : spoken(about, folder);
    parts.push(`${"-".repeat(72)}\n${name} ${about.version} (${about.license})\n\n${text.replace(/\r\n/g, "\n").trim()}\n`);
  }
  return parts.join("\n");
}

/** Packages without a licence file name it in their sources and their package.json. */
function spoken(about, folder) {
  const source = join(folder, about.module ?? about.main ?? "index.js");
  const holders = existsSync(source) ? [...new Set(readFileSync(source, "utf8").match(/Copyright \(c\)[^\n]*/g) ?? [])] : [];
  return `${holders.join("\n")}\nSPDX-License-Identifier: ${about.license}`;
}
