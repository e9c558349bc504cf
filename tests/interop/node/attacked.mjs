// Reads a plugin's index document by tuf-js and by the browse site's chain.js, and prints which of them refused it.
//   node attacked.mjs METADATA_DIR TARGET_DIR URL NS/NAME CHAIN
// METADATA_DIR holds the trusted root.json.

import { readFileSync } from "node:fs";
import process from "node:process";
import { webcrypto } from "node:crypto";
import { Updater } from "tuf-js";

globalThis.crypto ??= webcrypto;
const [metadataDir, targetDir, url, plugin, chain] = process.argv.slice(2);
const root = new Uint8Array(readFileSync(`${metadataDir}/root.json`));
const { verifyPlugin } = await import(chain);

async function read(path, limit) {
  const answer = await fetch(`${url}/${path}`);
  if (answer.status === 404 || answer.status === 403) return null;
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length > limit) throw new Error(`${path} is too long`);
  return bytes;
}

async function byTufJs() {
  const updater = new Updater({ metadataDir, targetDir, metadataBaseUrl: `${url}/metadata`, targetBaseUrl: `${url}/targets` });
  await updater.refresh();
  const info = await updater.getTargetInfo(`index/${plugin}.json`);
  if (info === undefined) throw new Error("nobody signed it");
  return JSON.parse(readFileSync(await updater.downloadTarget(info))).releases[0].version;
}

const said = async (work) => {
  try {
    return { version: await work() };
  } catch (error) {
    return { refused: String(error.message) };
  }
};
const ours = await said(async () => (await verifyPlugin({ read, root, plugin })).document.releases[0].version);
process.stdout.write(JSON.stringify({ ours, tuf_js: await said(byTufJs) }));
