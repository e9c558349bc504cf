// Reads one target of a registry with tuf-js and prints its bytes.
//   node read_target.mjs METADATA_DIR TARGET_DIR URL TARGET_PATH
// METADATA_DIR holds the trusted root.json, as tuf-js wants it. Exit status 3: nobody signed the target.

import { readFileSync } from "node:fs";
import process from "node:process";
import { Updater } from "tuf-js";

const [metadataDir, targetDir, url, target] = process.argv.slice(2);
const updater = new Updater({
  metadataDir,
  targetDir,
  metadataBaseUrl: `${url}/metadata`,
  targetBaseUrl: `${url}/targets`,
});
await updater.refresh();
const info = await updater.getTargetInfo(target);
if (info === undefined) {
  process.exitCode = 3;
} else {
  process.stdout.write(readFileSync(await updater.downloadTarget(info)));
}
