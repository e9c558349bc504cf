// Search over the catalog, in a worker: reads the shards, has them indexed, answers queries with counts.
//
// In:   {do: "load", catalogue, engine, text}      URLs of search/catalogue.json, search-engine.js and search-text.js
//       {do: "query", all, ...}                    what `Catalogue.query` takes; all: also what needs all rows
// Out:  {did: "progress", read, shards} · {did: "ready", plugins, shards, milliseconds} · {did: "failed", reason}
//       {did: "query", ..., milliseconds}          what `Catalogue.query` gives, and `part`:
//           null   all rows were searched
//           names  only names and titles; `size` is what all rows have in bytes; isCut: more names begin so than were read
//           none   nothing was searched, because that needs all rows, which are many
//
// A large registry's catalog is there by name too (docs/search.md): while only a name is asked for, a shard or two of what
// is typed are read, and all rows when a query needs them. The catalog's signature isn't checked here, because pages aren't
// trusted; `sealdex` verifies what it installs.

const FORMAT = 1;
const MANY_SHARDS = 4; // of names, that are read for what is typed
const KEPT_SHARDS = 16;
const LARGE = 24 * 1024 * 1024; // bytes of all rows that nobody reads without being asked

async function json(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${new URL(address).pathname} answered ${answer.status}`);
  const document = await answer.json();
  if (document.format !== FORMAT) throw new Error(`${new URL(address).pathname} has a format this page can't read`);
  return document;
}

class Search {
  constructor(addresses, { Catalogue }, text, files) {
    this.catalogue = addresses.catalogue;
    this.Catalogue = Catalogue;
    this.text = text;
    this.files = files;
    this.names = Object.keys(files.names ?? {}).sort();
    this.read = new Map(); // first key to the document of its shard, last used last
    this.whole = null; // the index of all rows, once it is needed
  }

  async query(asked) {
    const filters = [asked.metrics ?? [], ...Object.values(asked.facets ?? {})];
    const needsAll = asked.all || filters.some((each) => each.length) || (asked.sort ?? "relevance") !== "relevance";
    if (this.names.length && !this.whole && !needsAll) {
      const found = asked.text.trim() ? await this.#byName(asked) : null;
      if (found) return { ...found, part: "names", size: this.files.size };
      if (!asked.text.trim() || this.files.size > LARGE) {
        return { total: 0, rows: [], meant: null, facets: {}, metrics: [], part: "none", size: this.files.size };
      }
    }
    this.whole ??= this.#all();
    return { ...(await this.whole).query(asked), part: null };
  }

  /** What names and titles answer; null if none of them begins with the query or has its words. */
  async #byName(asked) {
    // of namespace/name, what is typed of the name decides
    const key = this.text.nameKey(asked.text.slice(asked.text.lastIndexOf("/") + 1));
    if (!key) return null;
    const all = this.#shards(key);
    const isCut = all.length > MANY_SHARDS;
    const made = new this.Catalogue(this.text, this.files.used ?? []);
    const seen = new Set();
    const take = (rows) => {
      const fresh = rows.filter((row) => !seen.has(`${row.namespace}/${row.name}`));
      for (const row of fresh) seen.add(`${row.namespace}/${row.name}`);
      made.add(fresh);
    };
    const documents = await Promise.all(all.slice(0, MANY_SHARDS).map((first) => this.#shard(first)));
    for (const { plugins } of documents) take(plugins);
    for (const { titles = [] } of documents) take(titles.map((row) => ({ ...row, unversioned: true })));
    made.finish();
    const answer = made.query(asked);
    return answer.total || isCut ? { ...answer, isCut, facets: {}, metrics: [] } : null;
  }

  /** The first keys of the shards that may have names that begin with a key, in order. */
  #shards(key) {
    const above = this.names.findLast((first) => first <= key) ?? this.names[0];
    return this.names.filter((first) => first === above || (first > above && first.startsWith(key)));
  }

  #shard(first) {
    const known = this.read.get(first) ?? json(new URL(this.files.names[first], this.catalogue).href);
    this.read.delete(first);
    this.read.set(first, known);
    known.catch(() => this.read.delete(first)); // another key stroke tries it again
    for (const old of this.read.keys()) if (this.read.size > KEPT_SHARDS) this.read.delete(old);
    return known;
  }

  async #all() {
    const started = performance.now();
    this.read.clear();
    const { shards } = this.files;
    const made = new this.Catalogue(this.text);
    let read = 0;
    // Each shard is indexed while the others are under way.
    await Promise.all(
      shards.map(async (shard) => {
        const { plugins } = await json(new URL(shard, this.catalogue).href);
        made.add(plugins);
        postMessage({ did: "progress", read: ++read, shards: shards.length });
      }),
    );
    made.finish();
    const milliseconds = performance.now() - started;
    postMessage({ did: "ready", plugins: made.rows.length, shards: shards.length, milliseconds });
    return made;
  }
}

async function load(addresses) {
  const [engine, text, files] = await Promise.all([
    import(addresses.engine),
    import(addresses.text),
    json(addresses.catalogue),
  ]);
  return new Search(addresses, engine, text, files);
}

let search = null;

onmessage = async ({ data }) => {
  try {
    if (data.do === "load") {
      search = load(data);
      await search;
    } else {
      const loaded = await search;
      const started = performance.now();
      const answer = await loaded.query(data);
      postMessage({ did: "query", ...answer, milliseconds: performance.now() - started });
    }
  } catch (error) {
    postMessage({ did: "failed", reason: error.message });
  }
};
