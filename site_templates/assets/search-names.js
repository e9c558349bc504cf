// Search by name in a large registry: reads the shards of rows that what is typed falls into, and has them searched
// (docs/search.md, "Large registries"). It runs on the page's own thread: a worker of its own would take more memory than
// all that it reads.
//
// The catalog's signature isn't checked here, because pages aren't trusted; `sealdex` verifies what it installs.

const MANY_SHARDS = 4; // that are read for what is typed
const KEPT_SHARDS = 16;
const LARGE = 4_000_000; // bytes of all rows that nobody reads without being asked

/** Whether a query can't be answered by names and titles: it has filters, or another order. */
export function needsAll({ facets = {}, metrics = [], sort = "relevance" }) {
  return [metrics, ...Object.values(facets)].some((each) => each.length) || sort !== "relevance";
}

/** Whether all rows are so many bytes that reading them is for the reader to decide. */
export function isLarge(files) {
  return files.size > LARGE;
}

export class Names {
  /**
   * @param files what search/catalogue.json says
   * @param address its URL, which the shards' are relative to
   * @param Catalogue of search-engine.js
   * @param text the module search-text.js
   * @param packed the module search-packed.js
   * @param read reads a JSON document by its URL
   */
  constructor(files, address, Catalogue, text, packed, read) {
    this.files = files;
    this.address = address;
    this.Catalogue = Catalogue;
    this.text = text;
    this.packed = packed;
    this.read = read;
    this.firsts = Object.keys(files.names).sort();
    this.shards = new Map(); // first key to the document of its shard, last used last
    this.made = { firsts: "", index: null }; // the index of those that were asked for last
  }

  /** What names and titles answer to a text; null if none of them begins with it or has its words. */
  async query(asked) {
    // of namespace/name, what is typed of the name decides
    const key = this.text.nameKey(asked.text.slice(asked.text.lastIndexOf("/") + 1));
    if (!key) return null;
    const all = this.#falls(key);
    const isCut = all.length > MANY_SHARDS;
    const index = await this.#index(all.slice(0, MANY_SHARDS));
    const answer = index.query(asked);
    return answer.total || isCut ? { ...answer, isCut, facets: {}, metrics: [] } : null;
  }

  /** The first keys of the shards that may have names that begin with a key, in order. */
  #falls(key) {
    const above = this.firsts.filter((first) => first <= key).at(-1) ?? this.firsts[0];
    return this.firsts.filter((first) => first === above || (first > above && first.startsWith(key)));
  }

  async #index(firsts) {
    const which = firsts.join(" ");
    if (this.made.firsts === which) return this.made.index;
    const documents = await Promise.all(firsts.map((first) => this.#shard(first)));
    const index = new this.Catalogue(this.text, this.packed, this.files.used ?? []);
    const seen = new Set();
    const take = (rows) => {
      const fresh = rows.filter((row) => !seen.has(`${row.namespace}/${row.name}`));
      for (const row of fresh) seen.add(`${row.namespace}/${row.name}`);
      index.add(fresh);
    };
    for (const { plugins } of documents) take(plugins);
    for (const { titles = [] } of documents) take(titles.map((row) => ({ ...row, unversioned: true })));
    index.finish();
    this.made = { firsts: which, index };
    return index;
  }

  #shard(first) {
    const known = this.shards.get(first) ?? this.read(new URL(this.files.names[first], this.address).href);
    this.shards.delete(first);
    this.shards.set(first, known);
    known.catch(() => this.shards.delete(first)); // another key stroke tries it again
    for (const old of this.shards.keys()) if (this.shards.size > KEPT_SHARDS) this.shards.delete(old);
    return known;
  }
}
