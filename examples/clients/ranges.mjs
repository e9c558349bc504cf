// Versions and ranges, as docs/format.md has them. They are npm's, but for how pre-releases count where they are asked for.

export function compare(a, b) { // SemVer 2.0.0, section 11
  const split = (text) => /^([\d.]+)(?:-([^+]+))?/.exec(text).slice(1).map((part) => part?.split(".") ?? []);
  const [[x, pre], [y, other]] = [split(a), split(b)];
  const differing = [0, 1, 2].find((i) => x[i] !== y[i]);
  if (differing !== undefined || !pre.length || !other.length)
    return differing !== undefined ? x[differing] - y[differing] : other.length - pre.length;
  const at = [...pre, ...other].findIndex((_, i) => pre[i] !== other[i]);
  const [p, q] = [pre[at], other[at]];
  if (p === q || p === undefined || q === undefined) return p === q ? 0 : p === undefined ? -1 : 1;
  const [m, n] = [/^\d+$/.test(p), /^\d+$/.test(q)];
  return m && n ? p - q : m !== n ? (m ? -1 : 1) : p < q ? -1 : 1;
}

const COMPARATOR = /^(<=|>=|<|>|=|~>?|\^)?v?([\dxX*]+)(?:\.([\dxX*]+))?(?:\.([\dxX*]+))?(?:-([\w.-]+))?(?:\+\S+)?$/;

const notARange = (text) => { throw new Error(`'${text}' is not a range`); };

function bounds(text) { // of one comparator: pairs of operator and version
  const [, sign = "=", ...parts] = COMPARATOR.exec(text) ?? notARange(text);
  const pre = parts.pop();
  const free = parts.findIndex((part) => !/^\d+$/.test(part ?? ""));
  const given = (free < 0 ? parts : parts.slice(0, free)).map(Number);
  if (!given.length) return sign === "<" || sign === ">" ? [["<", "0.0.0-0"]] : [];
  const [low, whole] = [[...given, 0, 0].slice(0, 3).join(".") + (pre ? `-${pre}` : ""), given.length === 3];
  const above = (count) => [...given.slice(0, count - 1), given[count - 1] + 1, 0, 0].slice(0, 3).join(".");
  if (sign === ">=" || (whole && /^[<>]?=?$/.test(sign))) return [[sign, low]];
  if (sign === ">") return [[">=", above(given.length)]];
  if (sign === "<" || sign === "<=") return [["<", `${sign === "<" ? low : above(given.length)}-0`]];
  const caret = given.findIndex((part) => part > 0) + 1 || given.length;
  const count = { "=": given.length, "^": caret }[sign] ?? Math.min(given.length, 2);
  return [[">=", low], ["<", `${above(count)}-0`]];
}

export const inRange = (version, range) => range.split("||").some((set) => {
  const [low, high] = set.split(/\s-\s/).map((part) => part.trim());
  const parts = (high ? `>=${low} <=${high}` : low.replace(/([<>=~^])\s+/g, "$1")).split(/\s+/).filter(Boolean);
  const holds = ([sign, bound], order = compare(version, bound)) =>
    (order === 0 && sign.includes("=")) || (order < 0 && sign[0] === "<") || (order > 0 && sign[0] === ">");
  const named = (part) => part.replace(/^\D+/, "").split("-")[0] === version.split("-")[0] && part.includes("-");
  const isFinal = !version.split("+")[0].includes("-");
  return parts.flatMap(bounds).every((each) => holds(each)) && (isFinal || parts.some(named));
});
