// Search over the catalog, in a worker: reads the shards, indexes them, answers queries with counts.
//
// In:   {do: "load", catalogue, engine}      URLs of search/catalogue.json and of MiniSearch's ES module
//       {do: "query", text, facets, sort, count, wide}
//           facets: {type: ["build"], os: ["linux"], ...}; any value of one facet, and all facets, must match
//           sort: "relevance" | "name" | "recent"; count: how many rows to send; wide: facets listed in full
// Out:  {did: "progress", read, shards} · {did: "ready", plugins, shards, milliseconds} · {did: "failed", reason}
//       {did: "query", total, rows, facets: {type: {values: [[value, count]], more}}, milliseconds}
//
// The catalog's signature isn't checked here, because pages aren't trusted; `sealdex` verifies what it
// installs. Rows are those of the format's "catalog shard"; fields with their default value are left out there.

const FORMAT = 1;
const FEW_VALUES = 8;
const MANY_VALUES = 400;

// A plugin that says nothing of `os` or `arch` runs on all of them: `open`.
const FACETS = {
  type: { of: (row) => [row.type] },
  namespace: { of: (row) => [row.namespace] },
  keyword: { of: (row) => row.keywords ?? [] },
  os: { of: (row) => row.labels?.os ?? [], open: true },
  arch: { of: (row) => row.labels?.arch ?? [], open: true },
  tag: { of: (row) => row.tags ?? [] },
  channel: { of: (row) => Object.keys(row.channels ?? {}) },
  licence: { of: (row) => (row.license ? [row.license] : []) },
  deprecated: { of: (row) => [row.deprecated === undefined ? "no" : "yes"] },
};

const SEARCH = {
  combineWith: "AND",
  prefix: true,
  fuzzy: (term) => (term.length > 3 ? 0.2 : false), // one typo from 4 letters on, two from 8
  maxFuzzy: 2,
  weights: { prefix: 0.6, fuzzy: 0.2 },
  boost: { name: 8, joined: 4, namespace: 3, keywords: 3, type: 2 },
};

const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

class Catalogue {
  /** @param MiniSearch the class */
  constructor(MiniSearch) {
    this.rows = [];
    this.index = new MiniSearch({
      fields: ["name", "joined", "namespace", "keywords", "type", "summary"],
      processTerm: plain,
      searchOptions: SEARCH,
    });
    this.facets = Object.entries(FACETS).map(([key, { of, open = false }]) => ({
      key,
      of,
      open,
      numbers: new Map(), // value to its number
      values: [], // number to value
      rows: [], // row to the numbers of its values
    }));
  }

  /** Take the rows of one shard. */
  add(rows) {
    const first = this.rows.length;
    this.rows.push(...rows);
    this.index.addAll(
      rows.map((row, offset) => ({
        id: first + offset,
        name: row.name,
        joined: /[-._]/.test(row.name) ? row.name.replace(/[-._]/g, "") : "", // "hal motor" typed as one word
        namespace: row.namespace,
        keywords: (row.keywords ?? []).join(" "),
        type: row.type,
        summary: row.summary,
      })),
    );
    for (const facet of this.facets) {
      for (const row of rows) facet.rows.push(Uint32Array.from(facet.of(row), (value) => number(facet, value)));
    }
  }

  /** Prepare the orders; after the last `add`. */
  finish() {
    const by = (compare) => {
      const place = new Uint32Array(this.rows.length);
      [...this.rows.keys()].sort((a, b) => compare(this.rows[a], this.rows[b])).forEach((row, at) => (place[row] = at));
      return place;
    };
    const less = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const named = (a, b) => less(a.name, b.name) || less(a.namespace, b.namespace);
    this.byName = by(named);
    this.byRelease = by((a, b) => less(b.updated_at ?? "", a.updated_at ?? "") || named(a, b));
  }

  /** Answer one query; what it takes and gives stands at the top of this file. */
  query({ text, facets: wanted, sort, count, wide }) {
    const { found, scores, terms } = this.#match(text);
    const limits = this.facets.map((facet) => limit(facet, wanted[facet.key] ?? []));
    const counts = this.facets.map((facet) => ({ each: new Uint32Array(facet.values.length), open: 0 }));
    const passed = [];
    for (const row of found) {
      // A value's count says what choosing it would show: so a facet's own choice doesn't limit its counts.
      const refusing = this.#refusing(row, limits);
      if (refusing === null) continue;
      if (refusing === -1) {
        passed.push(row);
        for (let at = 0; at < counts.length; at++) tally(this.facets[at], counts[at], row);
      } else {
        tally(this.facets[refusing], counts[refusing], row);
      }
    }
    const order = sort === "name" ? this.byName : this.byRelease;
    passed.sort((a, b) => order[a] - order[b]);
    if (sort === "relevance" && scores) passed.sort((a, b) => scores.get(b) - scores.get(a)); // stable
    return {
      total: passed.length,
      rows: passed.slice(0, count).map((row) => ({ ...this.rows[row], terms: terms?.get(row) ?? [] })),
      facets: Object.fromEntries(
        this.facets.map((facet, at) => [
          facet.key,
          listed(facet, counts[at], wanted[facet.key] ?? [], wide.includes(facet.key) ? MANY_VALUES : FEW_VALUES),
        ]),
      ),
    };
  }

  /** Rows whose text matches, with their scores and the terms that matched; all rows where there are no words. */
  #match(text) {
    if (!/[\p{L}\p{N}]/u.test(text)) return { found: this.rows.keys() };
    const scores = new Map();
    const terms = new Map();
    const whole = plain(text.trim());
    if (whole.length === 1) return { found: this.#starting(whole) }; // most texts have a word that starts with it
    for (const hit of this.index.search(text)) {
      const row = this.rows[hit.id];
      let score = row.deprecated === undefined ? hit.score : hit.score / 4;
      if (row.name === whole || `${row.namespace}/${row.name}` === whole) score += 1e9;
      scores.set(hit.id, score);
      terms.set(hit.id, hit.terms);
    }
    return { found: scores.keys(), scores, terms };
  }

  /** Rows whose name starts with a letter. */
  #starting(letter) {
    return [...this.rows.keys()].filter((row) => this.rows[row].name.startsWith(letter));
  }

  /** -1: all facets let the row pass; the number of the only one that doesn't; null: several don't. */
  #refusing(row, limits) {
    let refusing = -1;
    for (let at = 0; at < limits.length; at++) {
      const allowed = limits[at];
      if (allowed === null) continue;
      const own = this.facets[at].rows[row];
      if (own.length === 0 ? this.facets[at].open : own.some((value) => allowed.has(value))) continue;
      if (refusing !== -1) return null;
      refusing = at;
    }
    return refusing;
  }
}

function number(facet, value) {
  let found = facet.numbers.get(value);
  if (found === undefined) {
    found = facet.values.push(value) - 1;
    facet.numbers.set(value, found);
  }
  return found;
}

/** The numbers that a facet's choice allows; null where nothing is chosen. A value nobody has allows nothing. */
function limit(facet, chosen) {
  return chosen.length ? new Set(chosen.map((value) => facet.numbers.get(value) ?? -1)) : null;
}

function tally(facet, counts, row) {
  const own = facet.rows[row];
  if (own.length === 0) counts.open += 1;
  for (const value of own) counts.each[value] += 1;
}

/** The values that still lead somewhere, most frequent first, at most `most`; chosen ones are always among them. */
function listed(facet, counts, chosen, most) {
  const values = facet.values
    .map((value, at) => [value, counts.each[at] && counts.each[at] + (facet.open ? counts.open : 0)])
    .filter(([value, count]) => count || chosen.includes(value));
  for (const value of chosen) if (!facet.numbers.has(value)) values.push([value, 0]);
  values.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const kept = values.filter(([value], at) => at < most || chosen.includes(value));
  return { values: kept, more: values.length - kept.length };
}

async function json(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${new URL(address).pathname} answered ${answer.status}`);
  const document = await answer.json();
  if (document.format !== FORMAT) throw new Error(`${new URL(address).pathname} has a format this page can't read`);
  return document;
}

async function load(addresses) {
  const started = performance.now();
  const [{ default: MiniSearch }, { shards }] = await Promise.all([
    import(addresses.engine),
    json(addresses.catalogue),
  ]);
  const made = new Catalogue(MiniSearch);
  let read = 0;
  // Each shard is indexed while the others are under way.
  await Promise.all(
    shards.map(async (shard) => {
      const { plugins } = await json(new URL(shard, addresses.catalogue).href);
      made.add(plugins);
      postMessage({ did: "progress", read: ++read, shards: shards.length });
    }),
  );
  made.finish();
  const milliseconds = performance.now() - started;
  postMessage({ did: "ready", plugins: made.rows.length, shards: shards.length, milliseconds });
  return made;
}

let catalogue = null;

onmessage = async ({ data }) => {
  try {
    if (data.do === "load") {
      catalogue = load(data);
      await catalogue;
    } else {
      const loaded = await catalogue;
      const started = performance.now();
      const answer = loaded.query(data);
      postMessage({ did: "query", ...answer, milliseconds: performance.now() - started });
    }
  } catch (error) {
    postMessage({ did: "failed", reason: error.message });
  }
};
