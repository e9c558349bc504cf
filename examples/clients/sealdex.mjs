// A second client of Sealdex registries, written from docs/format.md alone, for Node 18 or later, without packages. It
// verifies the metadata from a pinned root, resolves plugins with what they depend on, and downloads files, verified.
//   node sealdex.mjs --root root.json --state DIR --to DIR [--label os=linux]... [--tag TAG]... URL NS/NAME[@RANGE]...
// Not in it: unpacking, channels but `stable`, mirrors; releases in a rollout or A/B test are passed over.
import { createHash, createPublicKey, constants, verify } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compare, inRange } from "./ranges.mjs";

const fail = (message) => { throw new Error(message); };
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function get(url, limit, missing = []) {
  const answer = await fetch(url);
  if (missing.includes(answer.status)) return null;
  if (!answer.ok) fail(`${url} answered ${answer.status}`);
  const parts = [];
  for await (const part of answer.body) {
    parts.push(part);
    if ((limit -= part.length) < 0) fail(`${url} is longer than it may be`);
  }
  return Buffer.concat(parts);
}

// "canonical JSON" as TUF's implementations write it: sorted keys, no blanks, only " and \ escaped
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  if (value === null || typeof value !== "object") return String(value);
  const keys = Object.keys(value).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return `{${keys.map((key) => `${canonical(key)}:${canonical(value[key])}`).join(",")}}`;
}

function isSignedBy({ scheme, keyval }, signature, data) {
  try {
    const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
    if (scheme === "rsassa-pss-sha256") return verify("sha256", data, { key: keyval.public, ...pss }, signature);
    if (scheme === "ecdsa-sha2-nistp256") return verify("sha256", data, keyval.public, signature);
    const key = Buffer.from(`302a300506032b6570032100${keyval.public}`, "hex");
    return scheme === "ed25519" && verify(null, data, createPublicKey({ key, format: "der", type: "spki" }), signature);
  } catch { return false; }
}

function checked(bytes, name, type, { keyids, threshold }, keys, realm) {
  const { signed, signatures } = JSON.parse(bytes);
  const data = Buffer.from(canonical(signed));
  const good = new Set(signatures.filter(({ keyid, sig }) => keyids.includes(keyid) && keys[keyid]
    && isSignedBy(keys[keyid], Buffer.from(sig, "hex"), data)).map(({ keyid }) => keyid));
  if (!(threshold >= 1 && good.size >= threshold)) fail(`${name} is not signed by enough of its keys`);
  if (signed._type !== type || !/^1\./.test(signed.spec_version)) fail(`${name} is of another type or version`);
  if ((signed["x-sealdex-role"] ?? name) !== name) fail(`${name} was signed as ${signed["x-sealdex-role"]}`);
  if (realm !== undefined && signed["x-sealdex-realm"] !== realm) fail(`${name} is of another realm`);
  return signed;
}

const unexpired = (signed, name) => (Date.parse(signed.expires) > Date.now() ? signed : fail(`${name} has expired`));

export async function openRegistry(url, pinned, state) {
  const base = url.endsWith("/") ? url : `${url}/`;
  mkdirSync(state, { recursive: true });
  const kept = (name) => (existsSync(join(state, name)) ? readFileSync(join(state, name)) : null);
  const keep = (name, bytes) => {
    writeFileSync(join(state, `${name}.new`), bytes);
    renameSync(join(state, `${name}.new`), join(state, name));
  };
  const own = (bytes, by, realm) => checked(bytes, "root", "root", by.roles.root, by.keys, realm);
  const trusted = kept("root.json") ?? pinned;
  let root = own(trusted, JSON.parse(trusted).signed);
  const realm = root["x-sealdex-realm"];
  for (let next; (next = await get(`${base}metadata/${root.version + 1}.root.json`, 512000, [403, 404])) !== null;) {
    const newer = own(next, own(next, root, realm), realm); // by its own keys, after those of the old root
    if (newer.version !== root.version + 1) fail("a root has another version than its name says");
    keep("root.json", next);
    root = newer;
  }
  unexpired(root, "root");
  const byRoot = (bytes, name) => checked(bytes, name, name, root.roles[name], root.keys, realm);
  const before = (name) => { try { return byRoot(kept(`${name}.json`), name); } catch { return null; } };
  const stamp = await get(`${base}metadata/timestamp.json`, 16384);
  const [timestamp, old] = [byRoot(stamp, "timestamp"), before("timestamp")];
  const number = timestamp.meta["snapshot.json"].version;
  if (old && (timestamp.version < old.version || number < old.meta["snapshot.json"].version))
    fail("timestamp was rolled back");
  unexpired(timestamp, "timestamp");
  keep("timestamp.json", stamp);
  const list = await get(`${base}metadata/${number}.snapshot.json`, 2000000);
  const snapshot = byRoot(list, "snapshot");
  if (snapshot.version !== number) fail("snapshot has another version than timestamp says");
  for (const [name, { version }] of Object.entries(before("snapshot")?.meta ?? {}))
    if (!(snapshot.meta[name]?.version >= version)) fail(`${name} was rolled back, or is gone`);
  unexpired(snapshot, "snapshot");
  keep("snapshot.json", list);
  const roles = new Map();
  async function load(name, by, keys) {
    if (roles.has(name)) return roles.get(name);
    const { version } = snapshot.meta[`${name}.json`] ?? fail(`${name} is not in snapshot`);
    const bytes = await get(`${base}metadata/${version}.${encodeURIComponent(name)}.json`, 5000000);
    const signed = unexpired(checked(bytes, name, "targets", by, keys, realm), name);
    if (signed.version !== version) fail(`${name} has another version than snapshot says`);
    roles.set(name, signed);
    return signed;
  }
  async function find(path, signed) { // delegations are terminating: the first that fits decides
    if (signed.targets[path]) return signed.targets[path];
    const { keys, roles: named = [], succinct_roles: bins } = signed.delegations ?? {};
    const parts = path.split("/");
    const fits = (pattern) => pattern.split("/").length === parts.length
      && pattern.split("/").every((part, i) => part === "*" || part === parts[i]);
    const role = named.find(({ paths }) => paths.some(fits));
    if (role) return find(path, await load(role.name, role, keys));
    if (!bins) return null;
    const bin = (parseInt(sha256(path).slice(0, 8), 16) >>> (32 - bins.bit_length)).toString(16);
    const width = (2 ** bins.bit_length - 1).toString(16).length;
    return find(path, await load(`${bins.name_prefix}-${bin.padStart(width, "0")}`, bins, keys));
  }
  return {
    async index(plugin) {
      const [namespace, name] = plugin.split("/");
      const info = await find(`index/${namespace}/${name}.json`, await load("targets", root.roles.targets, root.keys));
      if (!info) fail(`${plugin} is not in this registry`);
      const address = `${base}targets/index/${namespace}/${info.hashes.sha256}.${name}.json`;
      const bytes = await get(address, Math.min(info.length, 8388608));
      if (bytes.length !== info.length || sha256(bytes) !== info.hashes.sha256) fail(`${address} is not as signed`);
      const document = JSON.parse(bytes);
      return document.format === 1 ? document : fail(`${plugin} needs a newer client`);
    },
    async artifact(plugin, version, { url: elsewhere, file, size = 2 ** 31, sha256: digest }) {
      if (elsewhere && !/^https?:\/\/[^/@]+\//.test(elsewhere)) fail(`${plugin} has an address that is not allowed`);
      const path = ["plugins", ...plugin.split("/"), version, file].map(encodeURIComponent).join("/");
      const bytes = await get(elsewhere ?? base + path, size);
      return sha256(bytes) === digest ? bytes : fail(`${file} of ${plugin} is not what was signed`);
    },
  };
}

export function matches({ match_labels: equal = {}, match_expressions: more = [], ...unknown } = {}, labels) {
  const number = (text) => (/^-?\d{1,15}(\.\d{1,6})?$/.test(text ?? "") ? Number(text) : NaN);
  const isAbsent = (value) => value === undefined;
  const test = { in: (value, values) => values.includes(value), notin: (value, values) => !values.includes(value),
    exists: (value) => !isAbsent(value), doesnotexist: isAbsent, notexists: isAbsent,
    gt: (value, [least]) => number(value) > number(least), lt: (value, [most]) => number(value) < number(most) };
  return !Object.keys(unknown).length && Object.entries(equal).every(([key, value]) => labels[key] === value)
    && more.every(({ key, operator, values = [], ...others }) => !Object.keys(others).length
      && (test[operator.replace(/^LABEL_OPERATOR_|_/g, "").toLowerCase()] ?? (() => false))(labels[key], values));
}

export function artifactFor(release, { labels, tags }) { // undefined: doesn't fit; null: it has no files of its own
  const fits = (each) => matches(each.selector, labels) && (each.tags ?? []).every((tag) => tags.includes(tag));
  return fits(release) ? (release.artifacts?.length ? release.artifacts.find(fits) : null) : undefined;
}

export async function resolve(open, index, host, chosen = {}) { // newest first; goes back where nothing fits
  const [plugin, ranges] = Object.entries(open).find(([name]) => !(name in chosen)) ?? [];
  if (plugin === undefined) return chosen;
  const isExact = ranges.some((range) => /^=?v?\d+\.\d+\.\d+[^ |]*$/.test(range));
  const isOffered = ({ yanked, rollout = 100 }) => isExact || (!yanked && rollout === 100);
  const fits = (release) => ranges.every((range) => inRange(release.version, range)) && isOffered(release)
    && (release.channels ?? ["stable"]).includes("stable") && artifactFor(release, host) !== undefined;
  for (const release of (await index(plugin)).releases.filter(fits).sort((a, b) => compare(b.version, a.version))) {
    const wider = { ...open };
    for (const [name, range] of Object.entries(release.dependencies ?? {}))
      wider[name] = [...(wider[name] ?? []), range];
    const clashes = ([name, { version }]) => !wider[name].every((range) => inRange(version, range));
    if (Object.entries(chosen).some(clashes)) continue;
    const found = await resolve(wider, index, host, { ...chosen, [plugin]: release });
    if (found) return found;
  }
  return null;
}

async function main(words) {
  const [text, texts] = [{ type: "string" }, { type: "string", multiple: true, default: [] }];
  const options = { root: text, state: text, to: text, label: texts, tag: texts };
  const { values: given, positionals } = parseArgs({ args: words, allowPositionals: true, options });
  const [url, ...wanted] = positionals;
  const host = { labels: Object.fromEntries(given.label.map((each) => each.split("="))), tags: given.tag };
  const registry = await openRegistry(url, readFileSync(given.root), given.state);
  const requests = {};
  for (const [plugin, range = "*"] of wanted.map((each) => each.split("@"))) (requests[plugin] ??= []).push(range);
  const chosen = (await resolve(requests, registry.index, host)) ?? fail("nothing fits");
  for (const [plugin, release] of Object.entries(chosen)) {
    const entry = artifactFor(release, host);
    const bytes = entry && entry.format !== "oci" ? await registry.artifact(plugin, release.version, entry) : null;
    if (bytes) mkdirSync(join(given.to, plugin), { recursive: true });
    if (bytes) writeFileSync(join(given.to, plugin, basename(entry.file)), bytes);
    console.log(plugin, release.version, entry?.sha256 ?? "-");
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  main(process.argv.slice(2)).catch((error) => { console.error(`error: ${error.message}`); process.exitCode = 1; });
