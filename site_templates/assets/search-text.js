// Texts as search sees them: folded, split into tokens. docs/search.md specifies it, and the client's
// sealdex/resolve/_search_text.py does the same: both read one table of cases, and one of code points.

// Diacritics of Latin, Greek and Cyrillic, points of Hebrew and Arabic, selectors, joiners, direction marks, skin tones.
const REMOVED =
  /[\u00ad\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\ufeff\u{1f3fb}-\u{1f3ff}\u{e0100}-\u{e01ef}]+/gu;
const LETTERS = { ß: "ss", æ: "ae", œ: "oe", ø: "o", đ: "d", ð: "d", ł: "l", ı: "i", ħ: "h", ŧ: "t", þ: "th", ς: "σ" };
const LETTER = new RegExp(`[${Object.keys(LETTERS).join("")}]`, "gu");
const SYMBOL = /[\u2190-\u2bff\u{1f000}-\u{1faff}]/u;
// Scripts that are written without spaces, or nearly so: Thai, Lao, Myanmar, Khmer, Hangul, Kana, Han.
const BY_PAIRS =
  /[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uaa60-\uaa7f\uac00-\ud7ff\u{1b000}-\u{1b16f}\u{20000}-\u{323af}]/u;
const CONNECTORS = "-_.'/\u2010\u2019";
const OF_WORD = /[\p{L}\p{N}\p{M}]/u;
const ASCII = /^[\0-\x7f]*$/;
const PLAIN = /^[a-z0-9 ]*$/;
const WORD_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte).toLowerCase();
  return /[a-z0-9]/.test(char) ? char.charCodeAt(0) : 0; // in lower case
});
const CONNECTOR_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => (/[-_.'/]/.test(String.fromCharCode(byte)) ? 1 : 0));
const PARTS = []; // of a compound, where each starts; one array for all
const ASCII_PIECE = /([a-z0-9]+(?:[-_.'/][a-z0-9]+)*)([#+]*)/g;

// Kinds of characters: w of a word, b of a run that is read by pairs, s a symbol by itself, c a connector within a
// compound, h a mark after a word (c#, c++), x anything else.
const PIECE = /(?<word>w+(?:cw+)*)(?<marks>h*)|b+|s/g;
const kinds = new Map();

function kind(char) {
  let known = kinds.get(char);
  if (known === undefined) {
    if (SYMBOL.test(char)) known = "s";
    else if (OF_WORD.test(char)) known = BY_PAIRS.test(char) ? "b" : "w";
    else known = CONNECTORS.includes(char) ? "c" : char === "#" || char === "+" ? "h" : "x";
    kinds.set(char, known);
  }
  return known;
}

/** A text without differences of case, width, ligatures and diacritics. */
export function fold(text) {
  if (ASCII.test(text)) return text.toLowerCase();
  const plain = text.normalize("NFKD").toLowerCase().replace(REMOVED, "");
  return plain.replace(LETTER, (letter) => LETTERS[letter]).normalize("NFC");
}

/** The pieces of a folded text: {piece} for runs and symbols, {piece, parts, marks} for words and compounds. */
function* pieces(folded) {
  if (ASCII.test(folded)) {
    for (const [, piece, marks] of folded.matchAll(ASCII_PIECE)) yield { piece, parts: piece.split(/[-_.'/]/), marks };
    return;
  }
  const chars = [...folded];
  for (const found of chars.map(kind).join("").matchAll(PIECE)) {
    const { word, marks } = found.groups;
    const end = found.index + (word ?? found[0]).length;
    const own = chars.slice(found.index, end);
    if (word === undefined) {
      yield { piece: own.join("") };
      continue;
    }
    const parts = [""];
    for (const char of own) {
      if (kind(char) === "c") parts.push("");
      else parts[parts.length - 1] += char;
    }
    yield { piece: own.join(""), parts, marks: chars.slice(end, end + marks.length).join("") };
  }
}

/** Each two neighbours of a run, and its last character. */
function pairs(run) {
  const chars = [...run];
  return chars.map((char, at) => char + (chars[at + 1] ?? ""));
}

/** The tokens of a text, a set: words, pairs, symbols; of a compound its parts, and each of its ends as one word. */
export function tokens(text) {
  const found = new Set();
  const folded = fold(text);
  if (PLAIN.test(folded)) {
    for (const word of folded.split(" ")) if (word) found.add(word); // most texts, in a third of the time
    return found;
  }
  for (const { piece, parts, marks } of pieces(folded)) {
    if (!parts) {
      for (const pair of pairs(piece)) found.add(pair);
      continue;
    }
    for (const part of parts) found.add(part);
    for (let at = 0; at < parts.length - 1; at++) found.add(parts.slice(at).join(""));
    if (marks) found.add(parts.at(-1) + marks);
  }
  return found;
}

/**
 * Tell the tokens of a text of ASCII in bytes, as `tokens`, some perhaps twice: `take(buffer, from, to)`. Without strings,
 * since a large catalog has millions. Give its length without spaces and punctuation, which is what the buffer has then
 * (`squeezed`); -1 if it has marks after words.
 */
export function asciiTokens(bytes, from, to, buffer, take) {
  let length = 0; // of what is in the buffer
  let hasMarks = false;
  for (let at = from; at < to; ) {
    if (WORD_BYTES[bytes[at]] === 0) {
      hasMarks ||= bytes[at] === 0x23 || bytes[at] === 0x2b;
      at += 1;
      continue;
    }
    const piece = length;
    let parts = 0;
    for (;;) {
      const part = length;
      for (; at < to && WORD_BYTES[bytes[at]] !== 0; at++) buffer[length++] = WORD_BYTES[bytes[at]];
      take(buffer, part, length);
      PARTS[parts++] = part;
      if (!(at + 1 < to && CONNECTOR_BYTES[bytes[at]] === 1 && WORD_BYTES[bytes[at + 1]] !== 0)) break;
      at += 1;
    }
    for (let part = 0; part < parts - 1; part++) take(buffer, PARTS[part], length);
    const end = length;
    for (; at < to && (bytes[at] === 0x23 || bytes[at] === 0x2b); at++) buffer[length++] = bytes[at];
    if (length !== end) {
      hasMarks = true;
      take(buffer, PARTS[parts - 1], length);
      length = end;
    }
  }
  return hasMarks ? -1 : length;
}

/**
 * The parts of a query, each once, in order: {text, parts, isWord}. `text` is what is looked for, of a compound its
 * parts as one word; `parts` may be found one by one instead; an ordinary word may be mistyped.
 */
export function units(text) {
  const found = new Map();
  const add = (text, parts, isWord) => found.set([text, ...parts, isWord].join("\n"), { text, parts, isWord });
  for (const { piece, parts, marks } of pieces(fold(text))) {
    if (!parts) {
      const own = pairs(piece);
      for (const pair of own.length > 1 ? own.slice(0, -1) : own) add(pair, [], false);
    } else if (marks) {
      for (const part of parts.slice(0, -1)) add(part, [], true);
      add(parts.at(-1) + marks, [], false);
    } else {
      add(parts.join(""), parts.length > 1 ? parts : [], true);
    }
  }
  return [...found.values()];
}

/** A text folded, without spaces and punctuation: "Word Count" is "wordcount", "c++" itself. */
export function squeezed(text) {
  const folded = fold(text);
  if (ASCII.test(folded) && !/[#+]/.test(folded)) return folded.replace(/[^a-z0-9]+/g, "");
  let whole = "";
  for (const { piece, parts, marks } of pieces(folded)) whole += parts ? parts.join("") + marks : piece;
  return whole;
}

/**
 * What decides about the shard of a name or title, in letters and digits of ASCII: the text without case, spaces and
 * punctuation; characters of other scripts stand as one of 26 capitals.
 */
export function nameKey(text) {
  const chars = [...squeezed(text)].slice(0, 64);
  return chars.map((char) => (/[a-z0-9]/.test(char) ? char : String.fromCharCode(65 + (char.codePointAt(0) % 26)))).join("");
}

/**
 * Where to mark a text: pairs of offsets, in order, without overlap, of what the needles (folded words) stand for in it.
 * A needle of one or two letters only counts at the start of a word.
 */
export function marks(text, needles) {
  const folded = []; // characters of the folded text, connectors within compounds left out
  const from = []; // where in `text` each begins and ends
  const to = [];
  let at = 0;
  for (const cluster of text.match(/[^]\p{M}*/gu) ?? []) {
    for (const char of fold(cluster)) {
      folded.push(char);
      from.push(at);
      to.push(at + cluster.length);
    }
    at += cluster.length;
  }
  const own = folded.map(kind);
  const kept = folded.flatMap((_, i) => (own[i] === "c" && own[i - 1] === "w" && own[i + 1] === "w" ? [] : [i]));
  const found = [];
  for (const needle of needles) {
    const chars = [...needle];
    if (!chars.length) continue;
    for (let i = 0; i + chars.length <= kept.length; i++) {
      if (!chars.every((char, j) => folded[kept[i + j]] === char)) continue;
      const begins = kept[i] === 0 || own[kept[i]] !== "w" || own[kept[i] - 1] !== "w";
      if (begins || chars.length > 2) found.push([from[kept[i]], to[kept[i + chars.length - 1]]]);
    }
  }
  found.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const merged = [];
  for (const [start, end] of found) {
    if (merged.length && start <= merged.at(-1)[1]) merged.at(-1)[1] = Math.max(end, merged.at(-1)[1]);
    else merged.push([start, end]);
  }
  return merged;
}
