// What the search keeps of a catalog's rows, as arrays of numbers and bytes: a million rows as objects, and their words as
// strings, would take some gigabytes. Pure; search-engine.js searches it.

const [QUOTE, ESCAPE, COMMA, COLON, OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [...'"\\,:[]{}'].map((char) => char.charCodeAt(0));
const CHUNK_BITS = 16; // of a number of a term: which of its chunk it is
const IN_CHUNK = (1 << CHUNK_BITS) - 1;

export const [EXACT, PREFIX, INSIDE] = [4, 2, 1]; // a word, the start of one, a part of one

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** An array that is long enough, with what was in it. */
function roomy(array, needed) {
  if (needed <= array.length) return array;
  const longer = new array.constructor(Math.max(needed, Math.ceil(array.length * 1.5)));
  longer.set(array);
  free(array);
  return longer;
}

/** Give an array's memory back at once, where the browser can; else it stays until garbage is collected. */
export function free(array) {
  array.buffer.transfer?.(0);
}

/** Lists of numbers, one after the other: an array for each would take more than what is in it. */
export class Lists {
  constructor() {
    this.ends = new Uint32Array(16);
    this.values = new Uint32Array(64);
    this.count = 0;
    this.length = 0; // of all lists
  }

  /** Put a number into the list that is being made. */
  put(value) {
    if (this.length === this.values.length) this.values = roomy(this.values, this.length + 1);
    this.values[this.length++] = value;
  }

  /** End the list that is being made. */
  end() {
    this.ends = roomy(this.ends, this.count + 1);
    this.ends[this.count++] = this.length;
  }

  start(list) {
    return list === 0 ? 0 : this.ends[list - 1];
  }

  of(list) {
    return this.values.subarray(this.start(list), this.ends[list]);
  }

  has(list, value) {
    for (let at = this.start(list); at < this.ends[list]; at++) if (this.values[at] === value) return true;
    return false;
  }
}

/** Byte strings, each once, numbered as they come. */
export class Interned {
  constructor() {
    this.ends = new Uint32Array(16);
    this.bytes = new Uint8Array(256);
    this.count = 0;
    this.slots = new Uint32Array(64); // a hash table: number + 1, or 0
  }

  start(at) {
    return at === 0 ? 0 : this.ends[at - 1];
  }

  /** The number of some bytes of a source; new ones get the next. */
  number(source, from, to) {
    const mask = this.slots.length - 1;
    let slot = hashed(source, from, to) & mask;
    for (let found; (found = this.slots[slot]) !== 0; slot = (slot + 1) & mask) {
      if (this.is(found - 1, source, from, to)) return found - 1;
    }
    const start = this.start(this.count);
    const end = start + to - from;
    if (end > 0xffffffff) throw new RangeError("too many bytes");
    this.bytes = roomy(this.bytes, end);
    for (let at = start, next = from; next < to; ) this.bytes[at++] = source[next++];
    this.ends = roomy(this.ends, this.count + 1);
    this.ends[this.count] = end;
    this.slots[slot] = ++this.count;
    if (3 * this.count > 2 * this.slots.length) this.#rehash();
    return this.count - 1;
  }

  /** The number of a text; undefined if it isn't there. Until `forgetSlots`. */
  find(text) {
    const source = encoder.encode(text);
    const mask = this.slots.length - 1;
    for (let slot = hashed(source, 0, source.length) & mask; this.slots[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.is(this.slots[slot] - 1, source, 0, source.length)) return this.slots[slot] - 1;
    }
    return undefined;
  }

  is(at, source, from, to) {
    const start = this.start(at);
    if (this.ends[at] - start !== to - from) return false;
    for (let own = start; from < to; ) if (this.bytes[own++] !== source[from++]) return false;
    return true;
  }

  #rehash() {
    const { length } = this.slots;
    free(this.slots);
    this.slots = new Uint32Array(2 * length);
    const mask = this.slots.length - 1;
    for (let at = 0; at < this.count; at++) {
      let slot = hashed(this.bytes, this.start(at), this.ends[at]) & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = at + 1;
    }
  }

  /** Free what only new ones need. */
  forgetSlots() {
    free(this.slots);
    this.slots = new Uint32Array(1);
  }

  text(at) {
    return decoder.decode(this.bytes.subarray(this.start(at), this.ends[at]));
  }

  /** The order of two by their bytes, which is that of their code points. */
  compare(one, other) {
    let [a, b] = [this.start(one), this.start(other)];
    for (; a < this.ends[one] && b < this.ends[other]; a++, b++) {
      if (this.bytes[a] !== this.bytes[b]) return this.bytes[a] - this.bytes[b];
    }
    return this.ends[one] - a - (this.ends[other] - b);
  }
}

function hashed(bytes, from, to) {
  let hash = 0x811c9dc5; // FNV-1a
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ bytes[at], 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) >>> 8;
}

/** What all words of a catalog are, each once: first put in, then looked through. */
export class Terms {
  constructor() {
    this.known = new Interned();
    this.count = 0;
    this.ends = null;
    this.chunks = []; // of many terms each: their text, a line each, which is looked through faster than bytes
  }

  number(source, from, to) {
    const at = this.known.number(source, from, to);
    this.count = this.known.count;
    return at;
  }

  numberOf(text) {
    const source = encoder.encode(text);
    return this.number(source, 0, source.length);
  }

  /** Prepare for looking; nothing is put in afterwards. */
  finish() {
    const { known, count } = this;
    known.forgetSlots();
    this.ends = new Uint32Array(count); // of each, where it ends in its chunk
    for (let first = 0; first < count; first += IN_CHUNK + 1) {
      const end = Math.min(count, first + IN_CHUNK + 1);
      const lines = new Uint8Array(known.ends[end - 1] - known.start(first) + end - first + 1);
      lines[0] = 10;
      let to = 1;
      for (let at = first; at < end; at++) {
        lines.set(known.bytes.subarray(known.start(at), known.ends[at]), to);
        to += known.ends[at] - known.start(at);
        this.ends[at] = to;
        lines[to++] = 10;
      }
      const text = decoder.decode(lines);
      const isAscii = text.length === lines.length;
      if (!isAscii) for (let at = first, from = 0; at < end; at++) this.ends[at] = from = text.indexOf("\n", from + 1);
      this.chunks.push({ text, first, end, isAscii });
      free(lines);
    }
    free(known.bytes);
    free(known.ends);
    this.known = null;
  }

  /** Where a term starts in its chunk. */
  start(at) {
    return at & IN_CHUNK ? this.ends[at - 1] + 1 : 1;
  }

  text(at) {
    return this.chunks[at >>> CHUNK_BITS].text.slice(this.start(at), this.ends[at]);
  }

  /** How each term has a text, {kinds, exact}: in which way, or 0; and the number of the one that is it, or -1. */
  having(text, mayBeInside) {
    const kinds = new Uint8Array(this.count);
    let exact = -1;
    const needle = mayBeInside ? text : `\n${text}`;
    const before = needle.length - text.length;
    for (const { text: lines, first, end } of this.chunks) {
      let at = first;
      for (let found = lines.indexOf(needle); found !== -1 && at < end; found = lines.indexOf(needle, this.ends[at - 1])) {
        const start = found + before;
        while (this.ends[at] <= start) at++;
        if (start !== this.start(at)) kinds[at] = INSIDE;
        else if (start + text.length === this.ends[at]) [kinds[at], exact] = [EXACT, at];
        else kinds[at] = PREFIX;
        at++;
      }
    }
    return { kinds, exact };
  }
}

/** One field of all rows: each value once, as the JSON that it came in, and which of them each row has. */
export class Column {
  constructor(key) {
    this.key = key; // JSON, in bytes
    this.name = JSON.parse(decoder.decode(key));
    this.values = new Interned();
    this.ids = new Uint8Array(64); // of each row 0, or the number of its value + 1
    this.last = 0; // the last id that was given
    this.tokens = null; // of each value, where the field is searched
    this.wholes = null; // of each value what a whole query may be
  }

  set(row, id) {
    if (id > 0xff && this.ids.BYTES_PER_ELEMENT === 1) this.#widen(Uint16Array);
    if (id > 0xffff && this.ids.BYTES_PER_ELEMENT === 2) this.#widen(Uint32Array);
    if (row >= this.ids.length) this.ids = roomy(this.ids, row + 1);
    this.ids[row] = id;
  }

  #widen(Wider) {
    const narrow = this.ids;
    this.ids = new Wider(narrow);
    free(narrow);
  }

  /** A value by its id; undefined for 0. */
  value(id) {
    return id === 0 ? undefined : JSON.parse(this.values.text(id - 1));
  }

  /** How many ids there are. */
  get kinds() {
    return this.values.count + 1;
  }

  /** How many rows have each id. */
  counts(rows) {
    const counts = new Uint32Array(this.kinds);
    for (let row = 0; row < rows; row++) counts[this.ids[row]] += 1;
    return counts;
  }
}

/** The rows of documents as columns. */
export class Rows {
  /** @param valued what is told of each value that is new: its column, and where it stands */
  constructor(valued) {
    this.valued = valued;
    this.columns = []; // in the order in which rows have them, as far as they have one
    this.count = 0;
  }

  /** Take the rows of a document: {"plugins": [...], ...} in bytes; give what else it says. */
  read(bytes) {
    const said = {};
    const end = members(bytes, skipped(bytes, 0), (key, keyEnd, from, to) => {
      const name = JSON.parse(decoder.decode(bytes.subarray(key, keyEnd)));
      if (name !== "plugins") said[name] = JSON.parse(decoder.decode(bytes.subarray(from, to)));
      else if (bytes[from] === OPEN_LIST) this.#rows(bytes, from);
    });
    if (skipped(bytes, end) !== bytes.length) throw malformed();
    return said;
  }

  #rows(bytes, list) {
    let expected = 0;
    const take = (key, keyEnd, from, to) => {
      if (bytes[from] === 0x6e) return; // null: as if it weren't there
      expected = this.#column(bytes, key, keyEnd, expected);
      const column = this.columns[expected++];
      column.set(this.count, this.#id(column, bytes, from, to));
    };
    for (let at = skipped(bytes, list + 1); bytes[at] !== CLOSE_LIST; ) {
      expected = 0;
      at = skipped(bytes, members(bytes, at, take));
      this.count += 1;
      if (bytes[at] === COMMA) at = skipped(bytes, at + 1);
      else if (bytes[at] !== CLOSE_LIST) throw malformed();
    }
  }

  #id(column, bytes, from, to) {
    const { values, last } = column;
    if (last && values.is(last - 1, bytes, from, to)) return last; // many rows in a row have the same type or license
    const { count } = values;
    const value = values.number(bytes, from, to);
    if (value === count) this.valued(column, bytes, from, to);
    column.last = value + 1;
    return column.last;
  }

  /** The place of a field's column: mostly the next one, else looked for, else made. */
  #column(bytes, from, to, expected) {
    const { columns } = this;
    for (let at = expected; at < columns.length; at++) if (isSame(columns[at].key, bytes, from, to)) return at;
    for (let at = 0; at < expected; at++) if (isSame(columns[at].key, bytes, from, to)) return at;
    columns.splice(expected, 0, new Column(bytes.slice(from, to)));
    return expected;
  }

  /** No more rows come: let each column be as long as there are rows, and free what only new ones need. */
  finish() {
    for (const column of this.columns) {
      column.ids = roomy(column.ids, this.count);
      column.values.forgetSlots();
    }
  }

  /** The column of a field; undefined where no row has it. */
  column(name) {
    return this.columns.find((column) => column.name === name);
  }

  at(row) {
    const own = this.columns.filter((column) => column.ids[row] !== 0);
    const parts = own.map((column) => `${decoder.decode(column.key)}:${column.values.text(column.ids[row] - 1)}`);
    return JSON.parse(`{${parts.join(",")}}`);
  }
}

function isSame(key, bytes, from, to) {
  if (key.length !== to - from) return false;
  for (let at = 0; from < to; ) if (key[at++] !== bytes[from++]) return false;
  return true;
}

// ---- JSON, as far as it has to be read to know where each value stands; a value itself is for JSON.parse ----------

const malformed = () => new SyntaxError("this isn't the JSON of a catalog");

function skipped(bytes, at) {
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return at;
}

/** Tell where the members of the object at a place stand, and give where it ends. */
function members(bytes, at, each) {
  if (bytes[at] !== OPEN) throw malformed();
  at = skipped(bytes, at + 1);
  if (bytes[at] === CLOSE) return at + 1;
  for (;;) {
    if (bytes[at] !== QUOTE) throw malformed();
    const key = at;
    const keyEnd = endOfString(bytes, at);
    at = skipped(bytes, keyEnd);
    if (bytes[at] !== COLON) throw malformed();
    const from = skipped(bytes, at + 1);
    const to = endOfValue(bytes, from);
    each(key, keyEnd, from, to);
    at = skipped(bytes, to);
    if (bytes[at] === CLOSE) return at + 1;
    if (bytes[at] !== COMMA) throw malformed();
    at = skipped(bytes, at + 1);
  }
}

function endOfString(bytes, at) {
  for (at += 1; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    if (byte === ESCAPE) at += 1;
  }
  throw malformed();
}

function endOfValue(bytes, at) {
  if (bytes[at] === QUOTE) return endOfString(bytes, at);
  const from = at;
  for (let depth = 0; at < bytes.length; ) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = endOfString(bytes, at);
      continue;
    }
    if (byte === OPEN || byte === OPEN_LIST) depth += 1;
    else if (byte === CLOSE || byte === CLOSE_LIST) {
      if (depth === 0) break;
      depth -= 1;
      if (depth === 0) return at + 1;
    } else if (depth === 0 && (byte === COMMA || byte <= 0x20)) break;
    at += 1;
  }
  if (at === from || at >= bytes.length) throw malformed();
  return at;
}

/**
 * Tell where the strings stand in the JSON of a string or a list of strings, without quotes; false, and nothing is told,
 * if it is another value, or has a character beyond ASCII or an escape.
 */
export function plainStrings(bytes, from, to, each) {
  if (bytes[from] === OPEN) return false;
  for (let at = from; at < to; at++) if (bytes[at] > 0x7f || bytes[at] === ESCAPE) return false;
  for (let at = from; at < to; at++) {
    if (bytes[at] !== QUOTE) continue;
    const start = at + 1;
    at = endOfString(bytes, at) - 1;
    each(bytes, start, at);
  }
  return true;
}

/** The strings of the JSON of a string, a list, or an object, whose values they are. */
export function strings(bytes, from, to) {
  const value = JSON.parse(decoder.decode(bytes.subarray(from, to)));
  return (typeof value === "string" ? [value] : Object.values(value ?? [])).filter(Boolean);
}

/** Rows as the bytes of a document that has them. */
export const asDocument = (rows) => encoder.encode(JSON.stringify({ plugins: rows }));
