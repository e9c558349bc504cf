// Answers questions to the site's search engine: reads {engine, text, packed, do, ...} as JSON from stdin, writes JSON to stdout.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const asked = JSON.parse(readFileSync(0, "utf8"));
const text = await import(pathToFileURL(asked.text));
const packed = await import(pathToFileURL(asked.packed));
const { Catalogue } = await import(pathToFileURL(asked.engine));

const answers = {
  /** Texts to whether all their characters are assigned, and what they are to search. */
  texts: ({ texts }) =>
    texts.map((each) => [!/\p{Cn}/u.test(each), text.fold(each), [...text.tokens(each)].sort(), text.squeezed(each)]),

  /** Texts of ASCII to their tokens and what is left without spaces and punctuation, both as a large catalog reads them. */
  ascii: ({ texts }) =>
    texts.map((each) => {
      const bytes = new TextEncoder().encode(each);
      const buffer = new Uint8Array(bytes.length);
      const found = new Set();
      const length = text.asciiTokens(bytes, 0, bytes.length, buffer, (from, start, end) => {
        found.add(new TextDecoder().decode(from.subarray(start, end)));
      });
      return [[...found].sort(), length < 0 ? null : new TextDecoder().decode(buffer.subarray(0, length))];
    }),

  /** Documents of rows to what is kept of them, or null where they can't be read. */
  documents: ({ documents }) =>
    documents.map((document) => {
      const rows = new packed.Rows(() => {});
      try {
        const said = rows.read(new TextEncoder().encode(document));
        rows.finish();
        return { said, rows: Array.from({ length: rows.count }, (_, row) => rows.at(row)) };
      } catch {
        return null;
      }
    }),

  units: ({ texts }) => texts.map((each) => text.units(each).map((unit) => [unit.text, unit.parts, unit.isWord])),

  keys: ({ texts }) => texts.map(text.nameKey),

  marks: ({ cases }) =>
    cases.map(([each, query]) => {
      const needles = text.units(query).flatMap((unit) => [unit.text, ...unit.parts]);
      return text.marks(each, needles).map(([start, end]) => each.slice(start, end));
    }),

  queries: ({ rows, queries }) => {
    const made = new Catalogue(text, packed);
    made.add(rows);
    made.finish();
    return queries.map((query) => {
      const { total, rows: found, meant } = made.query(query);
      return { total, ids: found.map((row) => `${row.namespace}/${row.name}`), meant };
    });
  },
};
process.stdout.write(JSON.stringify(answers[asked.do](asked)));
