// Reading the catalog's files, and telling what went wrong where that fails. What the browser says of it is its own and
// in English: `failure` gives a kind, which search.js says in the page's language, and that text apart.

const FORMAT = 1;

/** A file that couldn't be read: why, as a kind with its values; the message is technical. */
class UnreadError extends Error {
  constructor(kind, technical, values = {}) {
    super(technical);
    Object.assign(this, { kind, values });
  }
}

const path = (address) => new URL(address).pathname;

/** Ask for a file; `taken` takes its body. */
async function asked(address, taken) {
  let answer;
  try {
    answer = await fetch(address);
    if (answer.ok) return await taken(answer);
  } catch (error) {
    if (error instanceof RangeError || !(error instanceof Error)) throw error; // memory, as `failure` knows it
    if (error instanceof SyntaxError) throw new UnreadError("malformed", `${path(address)}: ${error.message}`);
    throw new UnreadError("network", `${path(address)}: ${error.message}`);
  }
  throw new UnreadError("status", `${path(address)}: ${answer.status} ${answer.statusText}`.trim(), { status: answer.status });
}

/** Refuse a document of a format that this page doesn't know. */
export function known(document, address) {
  if (document?.format === FORMAT) return document;
  const [kind, what] = Number.isInteger(document?.format) ? ["format", document.format] : ["malformed", "not stated"];
  throw new UnreadError(kind, `${path(address)}: format ${what}`);
}

/** Read a JSON document of a format that this page knows. */
export async function json(address) {
  return known(await asked(address, (answer) => answer.json()), address);
}

/** Read a file. */
export async function bytes(address) {
  return new Uint8Array(await asked(address, (answer) => answer.arrayBuffer()));
}

/** Read search/catalogue.json, which says where everything else is. */
export async function catalog(address) {
  const read = await json(address);
  if (!Array.isArray(read.shards)) throw new UnreadError("malformed", `${path(address)}: no list of shards`);
  return read;
}

/** What went wrong, as what can be sent to another thread: {kind, values, technical}. */
export function failure(error) {
  const technical = error?.message ?? String(error);
  if (error?.kind) return { kind: error.kind, values: error.values ?? {}, technical };
  // arrays that the browser can't give: a RangeError in Chromium, no Error at all in Firefox
  if (error instanceof RangeError || !(error instanceof Error)) return { kind: "memory", values: {}, technical };
  if (error instanceof SyntaxError) return { kind: "malformed", values: {}, technical };
  return { kind: "unexpected", values: {}, technical };
}
