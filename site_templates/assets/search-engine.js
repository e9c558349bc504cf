// What matches a query, in which order: an index over rows of the catalog. docs/search.md specifies it, and the client's
// sealdex/resolve/search.py does the same. Pure: no worker, no page, no network; tests run it in node.
//
// Rows are those of the format's "catalog shard"; fields with their default value are left out there.

const FEW_VALUES = 8;
const MANY_VALUES = 400;

// Fields as bits: name and titles, keywords, namespace, tags, type, summaries; and what a token found there weighs.
const [NAME, KEYWORD, NAMESPACE, TAG, TYPE, SUMMARY] = [1, 2, 4, 8, 16, 32];
const WEIGHTS = new Map([[NAME, 8], [KEYWORD, 5], [NAMESPACE, 3], [TAG, 3], [TYPE, 2], [SUMMARY, 2]]);
const SEARCHED = {
  name: NAME,
  title: NAME,
  title_i18n: NAME,
  namespace: NAMESPACE,
  type: TYPE,
  summary: SUMMARY,
  summary_i18n: SUMMARY,
  keywords: KEYWORD,
  tags: TAG,
};
const SPELLED = NAME | KEYWORD | NAMESPACE; // fields whose words a mistyped one may have meant
const [BEGINS_WITH, IS] = [1, 2]; // what a text is to a name, id or title, as bits

const WHOLE = 6; // what a unit counts that is all of a name or title; see EXACT, PREFIX, INSIDE
const MIN_INSIDE = 3; // letters that may stand inside of a word
const MIN_WHOLE = 2; // letters that may begin a name
const MIN_TYPO_LENGTH = 4;
const MIN_TWO_TYPOS = 8;
const SHARED_FROM = 20; // rows from which on a word that half of them have may be missing

export const LAST_OF_NAMES = 3; // the last rank that names and titles decide about
const [IS_NAME, BEGINS_AS_WORDS, WORDS_OF_NAME, BEGINS, ELSEWHERE] = [0, 1, 2, 3, 4];

// Of one facet any chosen value will do, or of `every` all of them; and all facets must be satisfied. `of` gives a row's
// values of its `field`. A plugin that says nothing of `os` or `arch` runs on all of them: `open`. `same`: spellings that are
// one value.
const FACETS = {
  type: { field: "type", of: (type) => (type === undefined ? [] : [type]), same: (value) => value.toLowerCase().replaceAll("_", "-") },
  namespace: { field: "namespace", of: (namespace) => (namespace === undefined ? [] : [namespace]) },
  keyword: { field: "keywords", of: (keywords) => keywords ?? [], every: true, folded: true },
  os: { field: "labels", of: (labels) => labels?.os ?? [], open: true },
  arch: { field: "labels", of: (labels) => labels?.arch ?? [], open: true },
  tag: { field: "tags", of: (tags) => tags ?? [], every: true },
  channel: { field: "channels", of: (channels) => Object.keys(channels ?? {}) },
  licence: { field: "license", of: (license) => (license ? [license] : []), same: (value) => value.toLowerCase() },
  deprecated: { field: "deprecated", of: (deprecated) => [deprecated === undefined ? "no" : "yes"] },
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

export class Catalogue {
  /**
   * @param text the module search-text.js
   * @param packed the module search-packed.js
   * @param used of a catalog of some rows alone, how many need each plugin: its rows can't say how rare words are, nor
   *   what was meant, only which names match, without filters. Without it, the rows are all that there are.
   */
  constructor(text, packed, used = null) {
    this.text = text;
    this.packed = packed;
    this.isPart = used !== null;
    this.rows = new packed.Rows((column, bytes, from, to) => this.#index(column, bytes, from, to));
    this.terms = new packed.Terms(); // every token once, and what a whole query may be
    this.buffer = new Uint8Array(256);
    this.dependents = new Map(used ?? []);
    this.metrics = new Set();
    this.spelled = null; // of each token how many rows have it in a field of SPELLED, and what it weighs; when it is needed
    this.facets = Object.entries(this.isPart ? {} : FACETS).map(([key, facet]) => ({
      key,
      same: facet.folded ? text.fold : (value) => value,
      ...facet,
      numbers: new Map(), // value to its number
      values: [], // number to value
      lists: new packed.Lists(), // id of what a row has in the field, to the numbers of the facet's values
      ids: null, // row to that id
    }));
  }

  /** How many rows there are. */
  get count() {
    return this.rows.count;
  }

  /** Take some rows. */
  add(rows) {
    this.read(this.packed.asDocument(rows));
  }

  /** Take the rows of one shard, as the bytes of its document; give what else it says. */
  read(bytes) {
    return this.rows.read(bytes);
  }

  /** Take a new value of a field apart; of a part of the catalog those of names alone, since no more is asked of it. */
  #index(column, bytes, from, to) {
    const field = Object.hasOwn(SEARCHED, column.name) ? SEARCHED[column.name] : 0;
    if (!(field & (this.isPart ? NAME | NAMESPACE : -1))) return;
    column.tokens ??= new this.packed.Lists();
    column.wholes ??= new this.packed.Lists();
    const hasWhole = field & (NAME | NAMESPACE);
    if (this.buffer.length < to - from) this.buffer = new Uint8Array(2 * (to - from));
    const take = (buffer, start, end) => column.tokens.put(this.terms.number(buffer, start, end));
    const isPlain = this.packed.plainStrings(bytes, from, to, (source, start, end) => {
      const length = this.text.asciiTokens(source, start, end, this.buffer, take);
      if (!hasWhole) return;
      if (length > 0) column.wholes.put(this.terms.number(this.buffer, 0, length));
      else if (length < 0) this.#whole(column, this.packed.strings(bytes, from, to)[0]);
    });
    if (!isPlain) {
      for (const text of this.packed.strings(bytes, from, to)) {
        for (const token of this.text.tokens(text)) column.tokens.put(this.terms.numberOf(token));
        if (hasWhole) this.#whole(column, text);
      }
    }
    column.tokens.end();
    column.wholes.end();
  }

  #whole(column, text) {
    const whole = this.text.squeezed(text);
    if (whole) column.wholes.put(this.terms.numberOf(whole));
  }

  /** Prepare for queries; after the last row. */
  finish() {
    const { rows } = this;
    const column = (name) => rows.column(name);
    this.searched = rows.columns.filter((each) => each.tokens !== null);
    this.named = this.searched.filter((each) => SEARCHED[each.name] === NAME);
    this.namespaces = column("namespace");
    this.#countDependents();
    rows.finish();
    this.terms.finish();
    [this.buffer, this.dependents] = [null, null];
    for (const facet of this.facets) {
      const of = column(facet.field);
      facet.ids = of?.ids ?? new Uint8Array(rows.count);
      for (let id = 0; id < (of?.kinds ?? 1); id++) {
        for (const value of facet.of(of?.value(id))) facet.lists.put(number(facet, value));
        facet.lists.end();
      }
    }
    this.old = column("deprecated")?.ids ?? new Uint8Array(rows.count);
    this.measured = column("metrics");
    for (let id = 1; id < (this.measured?.kinds ?? 0); id++) {
      for (const name of Object.keys(this.measured.value(id))) this.metrics.add(name);
    }
    this.times = column("updated_at");
  }

  /** How many rows need each row. */
  #countDependents() {
    const { rows, dependents } = this;
    this.used = new Uint32Array(rows.count);
    const needing = this.isPart ? undefined : rows.column("dependencies");
    const counts = needing?.counts(rows.count);
    for (let id = 1; id < (needing?.kinds ?? 0); id++) {
      for (const needed of needing.value(id)) dependents.set(needed, (dependents.get(needed) ?? 0) + counts[id]);
    }
    const names = rows.column("name");
    if (!dependents.size || !names) return;
    const isNeeded = new Uint8Array(names.kinds);
    for (const needed of dependents.keys()) isNeeded[1 + (names.values.find(JSON.stringify(needed.slice(needed.indexOf("/") + 1))) ?? -1)] = 1;
    for (let row = 0; row < rows.count; row++) {
      const id = names.ids[row];
      if (id && isNeeded[id]) this.used[row] = dependents.get(`${this.namespaces.value(this.namespaces.ids[row])}/${names.value(id)}`) ?? 0;
    }
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
  query(asked) {
    this.scratch = [];
    try {
      return this.#answer(asked);
    } finally {
      this.scratch.forEach(this.packed.free);
      this.scratch = null;
    }
  }

  /** An array that only this query needs: of a million rows each is some megabytes, and a key stroke makes a dozen. */
  #array(Kind, length) {
    const made = new Kind(length);
    this.scratch.push(made);
    return made;
  }

  #answer({ text, facets: wanted = {}, metrics = [], sort = "relevance", count = Infinity, wide = [] }) {
    const { found: every, ranks, scores, meant, needles } = this.#match(text);
    const found = this.isPart ? every.filter((row) => ranks[row] <= LAST_OF_NAMES) : every;
    const limits = this.facets.map((facet) => limit(facet, wanted[facet.key] ?? []));
    const counts = limits.map(({ length }) => new Uint32Array(length));
    const passed = this.#passing(this.#measuredAs(metrics, found), limits, counts);
    const order = this.#order(sort, ranks, scores);
    return {
      total: passed.length,
      rows: firstOf(passed, count, order)
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

  /** The rows that were measured as demanded. */
  #measuredAs(metrics, rows) {
    if (!metrics.length) return rows;
    const tests = metrics.map(metricTest);
    const { measured } = this;
    const passes = Uint8Array.from({ length: measured?.kinds ?? 1 }, (_, id) => (tests.every((test) => test?.(measured?.value(id))) ? 1 : 0));
    return rows.filter((row) => passes[measured?.ids[row] ?? 0]);
  }

  /**
   * The rows that all facets let pass. `counts` gets how many of them have what in each facet's field. A value's count says
   * what choosing it would show: so a choice of any of several doesn't limit its own counts.
   */
  #passing(rows, limits, counts) {
    const { facets } = this;
    const limiting = [...limits.keys()].filter((at) => limits[at].isLimit);
    const passed = limiting.length ? rows.filter((row) => {
      let refusing = -1;
      for (const at of limiting) {
        if (limits[at].allowed[facets[at].ids[row]]) continue;
        if (refusing !== -1) return false;
        refusing = at;
      }
      if (refusing !== -1 && !facets[refusing].every) counts[refusing][facets[refusing].ids[row]] += 1;
      return refusing === -1;
    }) : rows;
    for (let at = 0; at < facets.length; at++) tally(counts[at], facets[at].ids, passed);
    return passed;
  }

  /** What compares two rows. */
  #order(sort, ranks, scores) {
    const { old, used } = this;
    const named = (a, b) => compared(this.rows.column("name"), a, b) || compared(this.namespaces, a, b);
    if (sort === "name") return named;
    const recent = (a, b) => compared(this.times, b, a) || named(a, b);
    if (sort === "recent") return recent;
    if (sort === "used") return (a, b) => used[b] - used[a] || recent(a, b);
    const isOld = (row) => (old[row] ? 1 : 0);
    if (!ranks) return (a, b) => isOld(a) - isOld(b) || recent(a, b);
    const sunk = (row) => (ranks[row] === IS_NAME ? 0 : isOld(row));
    return (a, b) =>
      sunk(a) - sunk(b) ||
      ranks[a] - ranks[b] ||
      isOld(a) - isOld(b) ||
      scores[b] - scores[a] ||
      used[b] - used[a] ||
      recent(a, b);
  }

  /** Rows whose text matches; all rows where there are no words, none where there is nothing but punctuation. */
  #match(text) {
    if (!text.trim()) return { found: this.#every(), meant: null, needles: [] };
    this.asked = new Map(); // what was looked for in all terms for this query
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
    this.asked = null;
    const needles = this.text.units(asked).flatMap((unit) => [unit.text, ...unit.parts]);
    return { ...made, needles, meant: asked === text ? null : asked };
  }

  #every() {
    const rows = this.#array(Uint32Array, this.count);
    for (let row = 0; row < rows.length; row++) rows[row] = row;
    return rows;
  }

  #find(text) {
    const asked = this.text.units(text);
    const many = this.count;
    const ranks = this.#array(Uint8Array, many);
    const scores = this.#array(Uint32Array, many);
    if (!asked.length) return { found: new Uint32Array(0), ranks, scores };
    const values = asked.map((unit) => this.#values(unit, asked.length === 1));
    const shared = values.map(({ rows }) => !this.isPart && many >= SHARED_FROM && 2 * rows >= many);
    const isRequired = shared.every(Boolean) ? shared.map(() => true) : shared.map((is) => !is);
    const whole = this.text.squeezed(text);
    const required = asked.filter((_, at) => isRequired[at]);
    const rest = shared.some(Boolean) ? required.map((unit) => unit.text).join("") : whole;
    const rarity = values.map(({ rows }) => 32 - Math.clz32(Math.floor(many / Math.max(rows, 1))));
    const [needed, mayBegin] = [values.filter((_, at) => isRequired[at]), length(rest) >= MIN_WHOLE];
    const [begins, is] = [this.#wholes(rest), this.#wholes(whole)];
    const isAll = asked.map((unit) => this.#wholes(unit.text));
    const words = required.map((unit) => [unit.text, ...unit.parts].map((each) => this.#having(each).exact));
    const found = this.#array(Uint32Array, many);
    let count = 0;
    for (let row = 0; row < many; row++) {
      const isBegun = (begins[row] & BEGINS_WITH) !== 0;
      if (!(isBegun && mayBegin) && !needed.every(({ of }) => of[row])) continue;
      found[count++] = row;
      if (is[row] & IS) ranks[row] = IS_NAME;
      else if (this.#areWordsOfName(words, row)) ranks[row] = isBegun ? BEGINS_AS_WORDS : WORDS_OF_NAME;
      else if (isBegun) ranks[row] = BEGINS;
      else {
        ranks[row] = ELSEWHERE;
        for (let at = 0; at < values.length; at++) {
          scores[row] += rarity[at] * (isAll[at][row] & IS ? WHOLE * WEIGHTS.get(NAME) : values[at].of[row]);
        }
      }
    }
    return { found: found.subarray(0, count), ranks, scores };
  }

  /** How the terms have a text; looked for once a query. */
  #having(text) {
    let made = this.asked.get(text);
    if (made === undefined) {
      made = this.terms.having(text, length(text) >= MIN_INSIDE);
      this.scratch.push(made.kinds);
      this.asked.set(text, made);
    }
    return made;
  }

  /** What a text is to the names, ids and titles of each row, as bits. */
  #wholes(text) {
    const key = `\n${text}`; // no text that is looked for
    let made = this.asked.get(key);
    if (made === undefined) {
      made = this.#array(Uint8Array, this.count);
      for (const column of this.named) either(made, column, this.#wholesOf(column, text));
      if (this.namespaces?.wholes) this.#wholesOfIds(made, text);
      this.asked.set(key, made);
    }
    return made;
  }

  #wholesOf({ wholes, kinds: length }, text) {
    const { kinds, exact } = this.#having(text);
    const of = this.#array(Uint8Array, length);
    for (let at = 0; at < wholes.count; at++) {
      for (let next = wholes.start(at); next < wholes.ends[at]; next++) {
        if (kinds[wholes.values[next]] >= this.packed.PREFIX) of[at + 1] |= BEGINS_WITH;
        if (wholes.values[next] === exact) of[at + 1] |= IS;
      }
    }
    return of;
  }

  /** The same of ids alone, which are namespace and name: a text may begin with the one and end in the other. */
  #wholesOfIds(made, text) {
    const { namespaces, terms } = this;
    const names = this.rows.column("name");
    const { kinds } = this.#having(text);
    const ends = new Map(); // what follows a namespace to the ids of such namespaces
    const all = new Uint8Array(namespaces.kinds);
    for (let at = 0; at < namespaces.wholes.count; at++) {
      const [whole] = namespaces.wholes.of(at);
      if (whole === undefined) continue;
      if (kinds[whole] >= this.packed.PREFIX) all[at + 1] = BEGINS_WITH;
      if (kinds[whole] === this.packed.PREFIX || !text.startsWith(terms.text(whole))) continue;
      const end = text.slice(terms.text(whole).length);
      if (end) ends.set(end, [...(ends.get(end) ?? []), at + 1]);
    }
    either(made, namespaces, all);
    for (const [end, ids] of ends) {
      const of = this.#wholesOf(names, end);
      const isThere = new Uint8Array(namespaces.kinds);
      for (const id of ids) isThere[id] = 1;
      for (let row = 0; row < made.length; row++) if (isThere[namespaces.ids[row]]) made[row] |= of[names.ids[row]];
    }
  }

  /**
   * What a unit weighs in each row: of all its places the best; of a compound in parts, its weakest part. One letter
   * begins too many words: where it is all that is asked, and as a part of a compound, it only begins those of names.
   */
  #values(unit, isAlone) {
    const isLetter = (text) => unit.isWord && length(text) === 1;
    const of = this.#valuesOf(unit.text, true, isAlone && isLetter(unit.text));
    if (unit.parts.length) {
      const [weakest, ...others] = unit.parts.map((part) => this.#valuesOf(part, false, isLetter(part)));
      for (const part of others) for (let row = 0; row < of.length; row++) if (part[row] < weakest[row]) weakest[row] = part[row];
      for (let row = 0; row < of.length; row++) if (weakest[row] > of[row]) of[row] = weakest[row];
    }
    let rows = 0;
    for (let row = 0; row < of.length; row++) if (of[row]) rows += 1;
    return { of, rows };
  }

  #valuesOf(text, mayBeInside, namesOnly) {
    const { kinds } = this.#having(text);
    const { INSIDE, PREFIX } = this.packed;
    const made = this.#array(Uint8Array, this.count);
    for (const column of this.searched) {
      const field = SEARCHED[column.name];
      const least = namesOnly && field !== NAME ? PREFIX : mayBeInside ? 0 : INSIDE; // only what is more counts
      const weight = WEIGHTS.get(field);
      const of = this.#array(Uint8Array, column.kinds);
      const { ends, values } = column.tokens;
      let isAny = false;
      for (let id = 1, at = 0; id < of.length; id++) {
        let best = 0;
        for (; at < ends[id - 1]; at++) if (kinds[values[at]] > best) best = kinds[values[at]];
        if (best > least) {
          of[id] = best * weight;
          isAny = true;
        }
      }
      if (isAny) atLeast(made, column, of);
    }
    return made;
  }

  /** Whether a query's words are whole words of name, title or namespace, and one of them not the latter's. */
  #areWordsOfName(words, row) {
    let inName = false;
    for (const [all, ...parts] of words) {
      let masks = [this.#mask(all, row)];
      if (parts.length && !(masks[0] & NAME)) masks = parts.map((part) => this.#mask(part, row));
      if (!masks.every(Boolean)) return false;
      inName ||= masks.some((mask) => mask & NAME);
    }
    return inName;
  }

  /** In which of the fields NAME and NAMESPACE of a row a token stands. */
  #mask(token, row) {
    if (token === -1) return 0;
    const { namespaces } = this;
    let mask = namespaces?.ids[row] && namespaces.tokens.has(namespaces.ids[row] - 1, token) ? NAMESPACE : 0;
    for (const column of this.named) if (column.ids[row] && column.tokens.has(column.ids[row] - 1, token)) mask |= NAME;
    return mask;
  }

  /** What may have been meant by a text that matches nothing, most probable first. */
  *#corrections(text) {
    const words = text.trim().split(/\s+/u);
    const all = words.map((word) => this.text.units(word));
    const spelled = all.map((own) => (own.length === 1 && own[0].isWord ? own[0] : null));
    const counts = all.map((own) => Math.min(this.count, ...own.map((unit) => this.#values(unit, false).rows)));
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
    this.spelled ??= this.#spelled();
    const { rows, weights } = this.spelled;
    const own = signature(word, 0, word.length);
    let best = null;
    for (const { text, first, end, isAscii } of this.terms.chunks) {
      const units = isAscii && ASCII.test(word) ? limit : 2 * limit; // a character may be two units long
      for (let at = first; at < end; at++) {
        const start = this.terms.start(at);
        if (!rows[at] || Math.abs(this.terms.ends[at] - start - word.length) > units) continue;
        if (bits(own ^ signature(text, start, this.terms.ends[at])) > 2 * units) continue; // one gone, one new
        const term = this.terms.text(at);
        const far = distance(word, term, limit);
        if (!far) continue;
        const one = [far, -weights[at], -rows[at], term];
        if (!best || one.reduce((order, value, i) => order || less(value, best[i]), 0) < 0) best = one;
      }
    }
    return best && best[3];
  }

  /** Of each token how many rows have it in a field of SPELLED, and the most that it weighs there. */
  #spelled() {
    const rows = new Uint32Array(this.terms.count);
    const weights = new Uint8Array(this.terms.count);
    const last = this.#array(Uint32Array, this.terms.count); // row + 1
    const columns = this.searched.filter((column) => SEARCHED[column.name] & SPELLED);
    for (const { name, tokens } of columns) {
      const weight = WEIGHTS.get(SEARCHED[name]);
      for (let at = 0; at < tokens.length; at++) weights[tokens.values[at]] = Math.max(weights[tokens.values[at]], weight);
    }
    for (let row = 0; row < this.count; row++) {
      for (const { ids, tokens } of columns) {
        if (ids[row] === 0) continue;
        for (let at = tokens.start(ids[row] - 1); at < tokens.ends[ids[row] - 1]; at++) {
          const token = tokens.values[at];
          if (last[token] === row + 1) continue;
          last[token] = row + 1;
          rows[token] += 1;
        }
      }
    }
    return { rows, weights };
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
}

/** Let each row have the bits of its value. */
function either(made, { ids }, of) {
  if (of.some(Boolean)) for (let row = 0; row < made.length; row++) made[row] |= of[ids[row]];
}

/** Let each row have the most of what it has and its value gives. */
function atLeast(made, { ids }, of) {
  for (let row = 0; row < made.length; row++) if (of[ids[row]] > made[row]) made[row] = of[ids[row]];
}

/** The order of two rows by a field; a row without it comes first. */
function compared(column, a, b) {
  if (column === undefined) return 0;
  const [one, other] = [column.ids[a], column.ids[b]];
  if (one === other) return 0;
  return one && other ? column.values.compare(one - 1, other - 1) : one - other;
}

/** The first rows in an order, without sorting the rest. */
function firstOf(rows, count, order) {
  if (rows.length <= count) return Array.from(rows).sort(order);
  const kept = [];
  let last = null; // of those that were the first so far
  for (const row of rows) {
    if (last !== null && order(row, last) > 0) continue;
    kept.push(row);
    if (kept.length < 2 * count + 100) continue;
    kept.sort(order).length = count;
    last = kept[count - 1];
  }
  return kept.sort(order).slice(0, count);
}

/** Which characters a text has, roughly: a bit for each, which some share. */
function signature(text, from, to) {
  let has = 0;
  for (let at = from; at < to; at++) has |= 1 << (text.charCodeAt(at) & 31);
  return has;
}

/** How many bits of a number are set. */
function bits(number) {
  let count = 0;
  for (let rest = number; rest; rest &= rest - 1) count += 1;
  return count;
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

/** Which ids of the facet's field let a row pass, and whether any is refused. A value nobody has is none of theirs. */
function limit(facet, chosen) {
  const { lists } = facet;
  if (!chosen.length) return { isLimit: false, length: lists.count };
  const sets = chosen.map((value) => {
    const same = facet.same(value);
    return new Set([...facet.values.keys()].filter((at) => facet.same(facet.values[at]) === same));
  });
  const allowed = Uint8Array.from({ length: lists.count }, (_, id) => {
    const own = lists.of(id);
    const has = (numbers) => own.some((value) => numbers.has(value));
    return (own.length === 0 ? facet.open : facet.every ? sets.every(has) : sets.some(has)) ? 1 : 0;
  });
  return { isLimit: true, length: lists.count, allowed };
}

function tally(counts, ids, rows) {
  for (const row of rows) counts[ids[row]] += 1;
}

/** The values that still lead somewhere, most frequent first, at most `most`; chosen ones are always among them. */
function listed(facet, counts, chosen, most) {
  const each = new Uint32Array(facet.values.length);
  let open = 0;
  for (let id = 0; id < counts.length; id++) {
    if (!counts[id]) continue;
    const own = facet.lists.of(id);
    if (own.length === 0) open += counts[id];
    for (const value of own) each[value] += counts[id];
  }
  const values = facet.values
    .map((value, at) => [value, each[at] && each[at] + (facet.open ? open : 0)])
    .filter(([value, count]) => count || chosen.includes(value));
  for (const value of chosen) if (!facet.numbers.has(value)) values.push([value, 0]);
  values.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const kept = values.filter(([value], at) => at < most || chosen.includes(value));
  return { values: kept, more: values.length - kept.length };
}
