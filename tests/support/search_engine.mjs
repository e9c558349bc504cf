// Answers questions to the site's search engine: reads {engine, text, do, ...} as JSON from stdin, writes JSON to stdout.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const asked = JSON.parse(readFileSync(0, "utf8"));
const text = await import(pathToFileURL(asked.text));
const { Catalogue } = await import(pathToFileURL(asked.engine));

const answers = {
  /** Texts to whether all their characters are assigned, and what they are to search. */
  texts: ({ texts }) =>
    texts.map((each) => [!/\p{Cn}/u.test(each), text.fold(each), [...text.tokens(each)].sort(), text.squeezed(each)]),

  units: ({ texts }) => texts.map((each) => text.units(each).map((unit) => [unit.text, unit.parts, unit.isWord])),

  keys: ({ texts }) => texts.map(text.nameKey),

  marks: ({ cases }) =>
    cases.map(([each, query]) => {
      const needles = text.units(query).flatMap((unit) => [unit.text, ...unit.parts]);
      return text.marks(each, needles).map(([start, end]) => each.slice(start, end));
    }),

  queries: ({ rows, queries }) => {
    const made = new Catalogue(text);
    made.add(rows);
    made.finish();
    return queries.map((query) => {
      const { total, rows: found, meant } = made.query(query);
      return { total, ids: found.map((row) => `${row.namespace}/${row.name}`), meant };
    });
  },
};
process.stdout.write(JSON.stringify(answers[asked.do](asked)));
