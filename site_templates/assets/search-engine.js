// What matches a query, in which order: an index over rows of the catalog. docs/search.md specifies it, and the client's
// sealdex/resolve/search.py does the same. Pure: no worker, no page, no network; tests run it in node.
//
// Rows are those of the format's "catalog shard"; fields with their default value are left out there.

const FEW_VALUES = 8;
const MANY_VALUES = 400;

// Fields as bits: name and titles, keywords, namespace, tags, type, summaries; and what a token found there weighs.
const [NAME, KEYWORD, NAMESPACE, TAG, TYPE, SUMMARY] = [1, 2, 4, 8, 16, 32];
const FIELD_WEIGHTS = [[NAME, 8], [KEYWORD, 5], [NAMESPACE, 3], [TAG, 3], [TYPE, 2], [SUMMARY, 2]];
const WEIGHTS = Uint8Array.from({ length: 64 }, (_, mask) =>
  Math.max(0, ...FIELD_WEIGHTS.map(([bit, weight]) => (mask & bit ? weight : 0))),
);
const SPELLED = NAME | KEYWORD | NAMESPACE; // fields whose words a mistyped one may have meant
const FIELD_BITS = 6;

const [WHOLE, EXACT, PREFIX, INSIDE] = [6, 4, 2, 1]; // of a name or title all, a word, the start of one, a part of one
const MIN_INSIDE = 3; // letters that may stand inside of a word
const MIN_WHOLE = 2; // letters that may begin a name
const MIN_TYPO_LENGTH = 4;
const MIN_TWO_TYPOS = 8;
const SHARED_FROM = 20; // rows from which on a word that half of them have may be missing

export const LAST_OF_NAMES = 3; // the last rank that names and titles decide about
const [IS_NAME, BEGINS_AS_WORDS, WORDS_OF_NAME, BEGINS, ELSEWHERE] = [0, 1, 2, 3, 4];

// Of one facet any chosen value will do, or of `every` all of them; and all facets must be satisfied. A plugin that says
// nothing of `os` or `arch` runs on all of them: `open`. `same`: spellings that are one value.
const FACETS = {
  type: { of: (row) => [row.type], same: (value) => value.toLowerCase().replaceAll("_", "-") },
  namespace: { of: (row) => [row.namespace] },
  keyword: { of: (row) => row.keywords ?? [], every: true, folded: true },
  os: { of: (row) => row.labels?.os ?? [], open: true },
  arch: { of: (row) => row.labels?.arch ?? [], open: true },
  tag: { of: (row) => row.tags ?? [], every: true },
  channel: { of: (row) => Object.keys(row.channels ?? {}) },
  licence: { of: (row) => (row.license ? [row.license] : []), same: (value) => value.toLowerCase() },
  deprecated: { of: (row) => [row.deprecated === undefined ? "no" : "yes"] },
};

const METRIC = /^\s*([^\s<>=]+)\s*(>=|<=|>|<|=)\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*$/;
const COMPARE = {
  ">=": (a, b) => a >= b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  "<": (a, b) => a < b,
  "=": (a, b) => a === b,
};

/** Read `top1>=0.8`: a test for the metrics of a row; null if it has another form. */
export function metricTest(text) {
  const found = METRIC.exec(text);
  if (!found) return null;
  const [, name, compare, value] = found;
  return (metrics = {}) => Object.hasOwn(metrics, name) && COMPARE[compare](metrics[name], Number(value));
}

const less = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const length = (text) => (ASCII.test(text) ? text.length : [...text].length); // in code points
const ASCII = /^[\0-\x7f]*$/;
const id = (row) => `${row.namespace}/${row.name}`;

/** Lists of numbers, one a row, end to end: an array for each would take more than what is in it. */
class Lists {
  constructor() {
    this.ends = new Uint32Array(64);
    this.values = new Uint32Array(256);
    this.count = 0;
  }

  push(list) {
    const start = this.start(this.count);
    const end = start + list.length;
    this.ends = roomy(this.ends, this.count + 1);
    this.values = roomy(this.values, end);
    this.values.set(list, start);
    this.ends[this.count++] = end;
  }

  start(row) {
    return row === 0 ? 0 : this.ends[row - 1];
  }

  of(row) {
    return this.values.subarray(this.start(row), this.ends[row]);
  }
}

/** Rows as the bytes they came in: as objects they would take five times as much. */
class Rows {
  constructor() {
    this.ends = new Float64Array(64);
    this.bytes = new Uint8Array(4096);
    this.count = 0;
    this.into = new TextEncoder();
    this.from = new TextDecoder();
  }

  push(row) {
    const data = this.into.encode(JSON.stringify(row));
    const start = this.count === 0 ? 0 : this.ends[this.count - 1];
    this.ends = roomy(this.ends, this.count + 1);
    this.bytes = roomy(this.bytes, start + data.length);
    this.bytes.set(data, start);
    this.ends[this.count++] = start + data.length;
  }

  at(row) {
    return JSON.parse(this.from.decode(this.bytes.subarray(row === 0 ? 0 : this.ends[row - 1], this.ends[row])));
  }
}

/** An array that is long enough, with what was in it. */
function roomy(array, needed) {
  if (needed <= array.length) return array;
  const longer = new array.constructor(Math.max(needed, Math.ceil(array.length * 1.5)));
  longer.set(array);
  return longer;
}

export class Catalogue {
  /**
   * @param text the module search-text.js
   * @param used of a catalog of some rows alone, how many need each plugin: its rows can't say how rare words are, nor
   *   what was meant, only which names match, without filters. Without it, the rows are all that there are.
   */
  constructor(text, used = null) {
    this.text = text;
    this.isPart = used !== null;
    this.rows = new Rows();
    this.wholes = []; // of each row what a whole query may be: name, id, titles, each between line ends
    this.terms = []; // every token once
    this.numbers = new Map(); // token to its number
    this.shared = new Map(); // texts that many rows share to the numbers of their tokens; until `finish`
    this.masks = []; // of each token the fields it stands in, in any row
    this.spelled = []; // of each token the number of rows that have it in a field of SPELLED
    this.own = new Lists(); // of each row its tokens: number << FIELD_BITS | fields
    this.dependents = new Map(used ?? []);
    this.metrics = new Set();
    this.measured = new Map(); // row to its metrics, where there are some
    this.old = []; // of each row 1 if it is deprecated, else 0
    this.sorted = []; // of each row what the orders are made of: name, namespace, time; until `finish`
    this.facets = Object.entries(this.isPart ? {} : FACETS).map(([key, facet]) => ({
      key,
      same: facet.folded ? text.fold : (value) => value,
      ...facet,
      numbers: new Map(), // value to its number
      values: [], // number to value
      rows: new Lists(), // row to the numbers of its values
    }));
  }

  /** How many rows there are. */
  get count() {
    return this.rows.count;
  }

  /** Take the rows of one shard. */
  add(rows) {
    for (const row of rows) {
      this.rows.push(row);
      const titles = [row.title, ...Object.values(row.title_i18n ?? {})].filter(Boolean);
      this.wholes.push(["", ...[row.name, id(row), ...titles].map(this.text.squeezed), ""].join("\n"));
      this.sorted.push([row.name, row.namespace, row.updated_at ?? ""]);
      this.old.push(row.deprecated === undefined ? 0 : 1);
      this.own.push(this.#tokens(row, titles));
      for (const needed of this.isPart ? [] : (row.dependencies ?? [])) this.dependents.set(needed, (this.dependents.get(needed) ?? 0) + 1);
      for (const name of Object.keys(row.metrics ?? {})) this.metrics.add(name);
      if (row.metrics) this.measured.set(this.rows.count - 1, row.metrics);
      if (this.isPart) continue;
      for (const facet of this.facets) facet.rows.push(facet.of(row).map((value) => number(facet, value)));
    }
  }

  /** What a row is found by; of a part of the catalog names alone, since no more is asked of it. */
  #tokens(row, titles) {
    const found = new Map(); // number of a token to the fields it stands in
    const take = (numbers, field) => {
      for (const at of numbers) found.set(at, (found.get(at) ?? 0) | field);
    };
    take(this.#numbers(row.name), NAME);
    take(this.#often(row.namespace), NAMESPACE);
    for (const title of titles) take(this.#numbers(title), NAME);
    if (!this.isPart) {
      take(this.#often(row.type), TYPE);
      take(this.#numbers(row.summary), SUMMARY);
      for (const keyword of row.keywords ?? []) take(this.#often(keyword), KEYWORD);
      for (const tag of row.tags ?? []) take(this.#often(tag), TAG);
      for (const summary of Object.values(row.summary_i18n ?? {})) take(this.#numbers(summary), SUMMARY);
    }
    const own = [];
    for (const [at, mask] of found) {
      this.masks[at] |= mask;
      if (mask & SPELLED) this.spelled[at] += 1;
      own.push((at << FIELD_BITS) | mask);
    }
    return own;
  }

  #numbers(text) {
    const made = [];
    for (const token of this.text.tokens(text)) {
      let at = this.numbers.get(token);
      if (at === undefined) {
        at = this.terms.push(token) - 1;
        this.numbers.set(token, at);
        this.masks.push(0);
        this.spelled.push(0);
      }
      made.push(at);
    }
    return made;
  }

  /** The same of a text that many rows share. */
  #often(text) {
    let made = this.shared.get(text);
    if (made === undefined) {
      made = this.#numbers(text);
      this.shared.set(text, made);
    }
    return made;
  }

  /** Prepare the orders; after the last `add`. */
  finish() {
    const { sorted } = this;
    const by = (compare) => {
      const place = new Uint32Array(sorted.length);
      Uint32Array.from(sorted.keys())
        .sort((a, b) => compare(sorted[a], sorted[b]))
        .forEach((row, at) => (place[row] = at));
      return place;
    };
    const named = (a, b) => less(a[0], b[0]) || less(a[1], b[1]);
    this.byName = by(named);
    this.byRelease = by((a, b) => less(b[2], a[2]) || named(a, b));
    this.used = Uint32Array.from(sorted, ([name, namespace]) => this.dependents.get(`${namespace}/${name}`) ?? 0);
    this.sorted = [];
    this.dependents.clear();
    this.shared.clear();
  }

  /**
   * Answer one query.
   *
   * In: {text, facets: {type: ["build"], ...}, metrics: ["top1>=0.8"], sort, count, wide}; sort: "relevance" (without
   * words as "recent", deprecated ones last), "recent", "name", "used"; count: how many rows to send; wide: facets listed
   * in full.
   * Out: {total, rows, meant, facets: {type: {values: [[value, count]], more}}, metrics}; each row with `marks`, and what
   * was meant where nothing matches what was asked.
   */
  query({ text, facets: wanted = {}, metrics = [], sort = "relevance", count = Infinity, wide = [] }) {
    const { found: every, ranks, scores, meant, needles } = this.#match(text);
    const found = this.isPart ? every.filter((row) => ranks[row] <= LAST_OF_NAMES) : every;
    const limits = this.facets.map((facet) => limit(facet, wanted[facet.key] ?? []));
    const tests = metrics.map(metricTest);
    const counts = this.facets.map((facet) => ({ each: new Uint32Array(facet.values.length), open: 0 }));
    const passed = [];
    for (const row of found) {
      if (!tests.every((test) => test?.(this.measured.get(row)))) continue;
      // A value's count says what choosing it would show: so a choice of any of several doesn't limit its own counts.
      const refusing = this.#refusing(row, limits);
      if (refusing === null) continue;
      if (refusing === -1) {
        passed.push(row);
        for (let at = 0; at < counts.length; at++) tally(this.facets[at], counts[at], row);
      } else if (!this.facets[refusing].every) {
        tally(this.facets[refusing], counts[refusing], row);
      }
    }
    this.#order(passed, sort, ranks, scores);
    return {
      total: passed.length,
      rows: passed
        .slice(0, count)
        .map((at) => this.rows.at(at))
        .map((row) => ({ ...row, marks: this.#marks(row, needles) })),
      meant,
      facets: Object.fromEntries(
        this.facets.map((facet, at) => [
          facet.key,
          listed(facet, counts[at], wanted[facet.key] ?? [], wide.includes(facet.key) ? MANY_VALUES : FEW_VALUES),
        ]),
      ),
      metrics: [...this.metrics].sort(),
    };
  }

  #order(rows, sort, ranks, scores) {
    if (sort === "name") return rows.sort((a, b) => this.byName[a] - this.byName[b]);
    const recent = (a, b) => this.byRelease[a] - this.byRelease[b];
    if (sort === "recent") return rows.sort(recent);
    if (sort === "used") return rows.sort((a, b) => this.used[b] - this.used[a] || recent(a, b));
    const { old } = this;
    if (!ranks) return rows.sort((a, b) => old[a] - old[b] || recent(a, b));
    const sunk = (row) => (ranks[row] === IS_NAME ? 0 : old[row]);
    return rows.sort(
      (a, b) =>
        sunk(a) - sunk(b) ||
        ranks[a] - ranks[b] ||
        old[a] - old[b] ||
        scores[b] - scores[a] ||
        this.used[b] - this.used[a] ||
        recent(a, b),
    );
  }

  /** Rows whose text matches; all rows where there are no words, none where there is nothing but punctuation. */
  #match(text) {
    if (!text.trim()) return { found: this.wholes.keys(), meant: null, needles: [] };
    let asked = text;
    let made = this.#find(text);
    if (!made.found.length && !this.isPart) {
      for (const corrected of this.#corrections(text)) {
        made = this.#find(corrected);
        if (!made.found.length) continue;
        asked = corrected;
        break;
      }
    }
    const needles = this.text.units(asked).flatMap((unit) => [unit.text, ...unit.parts]);
    return { ...made, needles, meant: asked === text ? null : asked };
  }

  #find(text) {
    const asked = this.text.units(text);
    const many = this.rows.count;
    const ranks = new Uint8Array(many);
    const scores = new Uint32Array(many);
    if (!asked.length) return { found: [], ranks, scores };
    const values = asked.map((unit) => this.#values(unit, asked.length === 1));
    const shared = values.map(({ rows }) => !this.isPart && many >= SHARED_FROM && 2 * rows >= many);
    const isRequired = shared.every(Boolean) ? shared.map(() => true) : shared.map((is) => !is);
    const whole = this.text.squeezed(text);
    const required = asked.filter((_, at) => isRequired[at]);
    const rest = shared.some(Boolean) ? required.map((unit) => unit.text).join("") : whole;
    const rarity = values.map(({ rows }) => 32 - Math.clz32(Math.floor(many / Math.max(rows, 1))));
    const found = [];
    for (let row = 0; row < many; row++) {
      const begins = this.wholes[row].includes(`\n${rest}`);
      const has = isRequired.every((is, at) => !is || values[at].of[row]);
      if (!has && !(begins && length(rest) >= MIN_WHOLE)) continue;
      found.push(row);
      if (this.wholes[row].includes(`\n${whole}\n`)) ranks[row] = IS_NAME;
      else if (this.#areWordsOfName(required, row)) ranks[row] = begins ? BEGINS_AS_WORDS : WORDS_OF_NAME;
      else if (begins) ranks[row] = BEGINS;
      else {
        ranks[row] = ELSEWHERE;
        for (let at = 0; at < values.length; at++) {
          const isAll = this.wholes[row].includes(`\n${asked[at].text}\n`);
          scores[row] += rarity[at] * (isAll ? WHOLE * WEIGHTS[NAME] : values[at].of[row]);
        }
      }
    }
    return { found, ranks, scores };
  }

  /**
   * What a unit weighs in each row: of all its places the best; of a compound in parts, its weakest part. One letter
   * begins too many words: where it is all that is asked, and as a part of a compound, it only begins those of names.
   */
  #values(unit, isAlone) {
    const isLetter = (text) => unit.isWord && length(text) === 1;
    const of = this.#valuesOf(unit.text, length(unit.text) >= MIN_INSIDE, isAlone && isLetter(unit.text));
    if (unit.parts.length) {
      const parts = unit.parts.map((part) => this.#valuesOf(part, false, isLetter(part)));
      for (let row = 0; row < of.length; row++) of[row] = Math.max(of[row], Math.min(...parts.map((each) => each[row])));
    }
    let rows = 0;
    for (const value of of) if (value) rows += 1;
    return { of, rows };
  }

  #valuesOf(text, mayBeInside, namesOnly) {
    const kinds = new Uint8Array(this.terms.length);
    for (let at = 0; at < kinds.length; at++) {
      const term = this.terms[at];
      if (term.startsWith(text)) kinds[at] = term.length === text.length ? EXACT : PREFIX;
      else if (mayBeInside && term.includes(text)) kinds[at] = INSIDE;
    }
    const values = new Uint8Array(this.rows.count);
    const { ends, values: tokens } = this.own;
    for (let row = 0, at = 0; row < values.length; row++) {
      for (; at < ends[row]; at++) {
        const kind = kinds[tokens[at] >>> FIELD_BITS];
        if (!kind) continue;
        const mask = tokens[at] & 63;
        values[row] = Math.max(values[row], kind * WEIGHTS[namesOnly && kind === PREFIX ? mask & NAME : mask]);
      }
    }
    return values;
  }

  /** Whether a query's words are whole words of name, title or namespace, and one of them not the latter's. */
  #areWordsOfName(required, row) {
    let inName = false;
    for (const unit of required) {
      let masks = [this.#mask(unit.text, row)];
      if (unit.parts.length && !(masks[0] & NAME)) masks = unit.parts.map((part) => this.#mask(part, row));
      if (!masks.every((mask) => mask & (NAME | NAMESPACE))) return false;
      inName ||= masks.some((mask) => mask & NAME);
    }
    return inName;
  }

  /** The fields of a row that a token stands in. */
  #mask(token, row) {
    const at = this.numbers.get(token);
    const found = at === undefined ? undefined : this.own.of(row).find((each) => each >>> FIELD_BITS === at);
    return found === undefined ? 0 : found & 63;
  }

  /** What may have been meant by a text that matches nothing, most probable first. */
  *#corrections(text) {
    const words = text.trim().split(/\s+/u);
    const all = words.map((word) => this.text.units(word));
    const spelled = all.map((own) => (own.length === 1 && own[0].isWord ? own[0] : null));
    const counts = all.map((own) => Math.min(this.rows.count, ...own.map((unit) => this.#values(unit, false).rows)));
    const lacking = [...words.keys()].filter((at) => counts[at] === 0);
    const groups = lacking.length
      ? [lacking]
      : [...words.keys()].sort((a, b) => counts[a] - counts[b]).map((at) => [at]);
    for (const group of groups) {
      const near = group.map((at) => spelled[at] && this.#nearest(spelled[at].text));
      if (near.some((each) => !each)) continue;
      yield words.map((word, at) => (group.includes(at) ? near[group.indexOf(at)] : word)).join(" ");
    }
  }

  /** The word that a mistyped one is nearest to; null: none is near enough. */
  #nearest(word) {
    const letters = length(word);
    const limit = letters < MIN_TYPO_LENGTH ? 0 : letters < MIN_TWO_TYPOS ? 1 : 2;
    if (!limit) return null;
    let best = null;
    for (let at = 0; at < this.terms.length; at++) {
      if (!this.spelled[at] || Math.abs(this.terms[at].length - word.length) > 2 * limit) continue;
      const far = distance(word, this.terms[at], limit);
      if (!far) continue;
      const one = [far, -WEIGHTS[this.masks[at] & SPELLED], -this.spelled[at], this.terms[at]];
      if (!best || one.reduce((order, value, i) => order || less(value, best[i]), 0) < 0) best = one;
    }
    return best && best[3];
  }

  #marks(row, needles) {
    const made = {};
    if (!needles.length) return made;
    for (const field of ["namespace", "name", "title", "summary"]) {
      if (row[field]) made[field] = this.text.marks(row[field], needles);
    }
    for (const field of ["title_i18n", "summary_i18n"]) {
      const texts = Object.entries(row[field] ?? {});
      made[field] = Object.fromEntries(texts.map(([language, text]) => [language, this.text.marks(text, needles)]));
    }
    return made;
  }

  /** -1: all facets let the row pass; the number of the only one that doesn't; null: several don't. */
  #refusing(row, limits) {
    let refusing = -1;
    for (let at = 0; at < limits.length; at++) {
      const allowed = limits[at];
      if (allowed === null) continue;
      const facet = this.facets[at];
      const own = facet.rows.of(row);
      const has = (numbers) => own.some((value) => numbers.has(value));
      if (own.length === 0 ? facet.open : facet.every ? allowed.every(has) : allowed.some(has)) continue;
      if (refusing !== -1) return null;
      refusing = at;
    }
    return refusing;
  }
}

/** The optimal string alignment distance of two words; 0 if they are the same, null if it is over a limit. */
function distance(word, term, limit) {
  const [one, other] = [[...word], [...term]];
  if (Math.abs(one.length - other.length) > limit) return null;
  let beforeLast = [];
  let last = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      let cost = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]) {
        cost = Math.min(cost, beforeLast[j - 2] + 1);
      }
      row.push(cost);
    }
    if (Math.min(...row) > limit) return null;
    beforeLast = last;
    last = row;
  }
  return last[other.length] <= limit ? last[other.length] : null;
}

function number(facet, value) {
  let found = facet.numbers.get(value);
  if (found === undefined) {
    found = facet.values.push(value) - 1;
    facet.numbers.set(value, found);
  }
  return found;
}

/** The numbers that each chosen value stands for; null where nothing is chosen. A value nobody has stands for none. */
function limit(facet, chosen) {
  if (!chosen.length) return null;
  return chosen.map((value) => {
    const same = facet.same(value);
    return new Set([...facet.values.keys()].filter((at) => facet.same(facet.values[at]) === same));
  });
}

function tally(facet, counts, row) {
  const own = facet.rows.of(row);
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
