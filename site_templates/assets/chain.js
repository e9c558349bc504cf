// The chain of metadata, checked with WebCrypto: from a root that the reader has from elsewhere to the index document of
// a plugin. Written from docs/format.md; no server takes part but the one that has the files. Nothing is remembered, so
// a state that is older than one seen before, and hasn't expired, isn't noticed: that takes a client with a memory.

const LIMITS = { root: 512_000, timestamp: 16_384, snapshot: 2_000_000, role: 5_000_000, index: 8_388_608 };
const MAX_ROOTS = 256;

/** What was refused, and at which link of the chain: in English, and as a message with values, for who translates it. */
export class RefusedError extends Error {
  constructor(link, text, values) {
    super(text.replace(/\{(\w+)\}/g, (_, name) => values[name]));
    Object.assign(this, { link, text, values });
  }
}

const refuse = (link, text, values = {}) => {
  throw new RefusedError(link, text, values);
};

export const hex = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const sha256 = async (bytes) => hex(await crypto.subtle.digest("SHA-256", bytes));
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));

/** "Canonical JSON" as TUF's implementations write it: sorted keys, no blanks, only " and \ escaped. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  if (value === null || typeof value !== "object") return String(value);
  const points = (text) => [...text].map((character) => character.codePointAt(0));
  const keys = Object.keys(value).sort((a, b) => {
    const [x, y] = [points(a), points(b)];
    const at = x.findIndex((point, i) => point !== y[i]);
    return at < 0 ? x.length - y.length : x[at] - (y[at] ?? -1);
  });
  return `{${keys.map((key) => `${canonical(key)}:${canonical(value[key])}`).join(",")}}`;
}

// --- signatures ------------------------------------------------------------------------------------------------------

const pem = (text) => Uint8Array.from(atob(text.replace(/-----[^-]+-----|\s/g, "")), (each) => each.charCodeAt(0));

/** An ECDSA signature as WebCrypto wants it, two numbers of 32 bytes, from DER. */
function twoNumbers(der) {
  const numbers = [];
  let at = der[1] & 0x80 ? 2 + (der[1] & 0x7f) : 2;
  while (at < der.length && der[at] === 2) {
    const value = der.slice(at + 2, at + 2 + der[at + 1]);
    const short = value.slice(value.findIndex((byte, i) => byte !== 0 || i === value.length - 1)).slice(-32);
    numbers.push(new Uint8Array(32 - short.length), short);
    at += 2 + der[at + 1];
  }
  return Uint8Array.from(numbers.flatMap((part) => [...part]));
}

/** Whether a key made a signature; null where this browser can't tell. */
async function isSignedBy({ scheme, keyval }, signature, data) {
  const { subtle } = crypto;
  try {
    if (scheme === "ed25519") {
      const key = await subtle.importKey("raw", unhex(keyval.public), { name: "Ed25519" }, false, ["verify"]);
      return await subtle.verify("Ed25519", key, signature, data);
    }
    if (scheme === "ecdsa-sha2-nistp256") {
      const kind = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
      const key = await subtle.importKey("spki", pem(keyval.public), kind, false, ["verify"]);
      return await subtle.verify(kind, key, twoNumbers(signature), data);
    }
    if (scheme === "rsassa-pss-sha256") {
      const kind = { name: "RSA-PSS", hash: "SHA-256" };
      const key = await subtle.importKey("spki", pem(keyval.public), kind, false, ["verify"]);
      const longest = key.algorithm.modulusLength / 8 - 34;
      for (const saltLength of [32, longest]) if (await subtle.verify({ ...kind, saltLength }, key, signature, data)) return true;
      return false;
    }
  } catch (error) {
    // browsers learnt Ed25519 one after the other until 2025; a key that can't be read has signed nothing
    return error?.name === "NotSupportedError" ? null : false;
  }
  return null; // Sigstore's identities and post-quantum keys aren't known to WebCrypto
}

async function checked(bytes, name, type, { keyids, threshold }, keys, realm) {
  let document;
  try {
    document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    refuse(name, "it can't be read");
  }
  const { signed, signatures } = document ?? {};
  if (!signed || !Array.isArray(signatures)) refuse(name, "it can't be read");
  const data = new TextEncoder().encode(canonical(signed));
  const good = new Set();
  const untold = new Map(); // keys whose signatures this browser can't check, with their schemes
  for (const { keyid, sig } of signatures) {
    if (!keyids.includes(keyid) || !keys[keyid]) continue;
    const isGood = await isSignedBy(keys[keyid], unhex(sig), data);
    if (isGood) good.add(keyid);
    else if (isGood === null) untold.set(keyid, keys[keyid].scheme);
  }
  if (good.size < threshold && good.size + untold.size >= threshold)
    refuse(name, "this browser can't check signatures of the kind {scheme}", { scheme: [...untold.values()][0] });
  if (!(threshold >= 1 && good.size >= threshold)) refuse(name, "it isn't signed by enough of its keys");
  if (signed._type !== type || !/^1\./.test(signed.spec_version)) refuse(name, "it is of another type or version");
  if ((signed["x-sealdex-role"] ?? name) !== name) refuse(name, "it was signed as {role}", { role: signed["x-sealdex-role"] });
  if (realm !== undefined && signed["x-sealdex-realm"] !== realm) refuse(name, "it was signed for another registry");
  return signed;
}

function unexpired(signed, name, now) {
  if (!(Date.parse(signed.expires) > now)) refuse(name, "it expired on {day}", { day: signed.expires });
  return signed;
}

// --- the chain -------------------------------------------------------------------------------------------------------

/**
 * Verify a plugin's index document.
 *
 * `read(path, limit)` returns the bytes of a file of the published tree, or null where it isn't there. `root` is the root
 * that the reader trusts, as bytes. `onLink(name, signed)` is told each role that was verified. Returns the document.
 */
export async function verifyPlugin({ read, root: pinned, plugin, onLink = () => {}, now = Date.now() }) {
  const needed = async (path, limit, name) => {
    const bytes = await read(path, limit);
    return bytes ?? refuse(name, "the server doesn't have {path}", { path });
  };
  let trusted;
  try {
    trusted = JSON.parse(new TextDecoder().decode(pinned)).signed.roles.root && JSON.parse(new TextDecoder().decode(pinned)).signed;
  } catch {
    refuse("root", "the root that you gave can't be read");
  }
  const own = (bytes, by, realm) => checked(bytes, "root", "root", by.roles.root, by.keys, realm);
  let root = await own(pinned, trusted);
  const realm = root["x-sealdex-realm"];
  for (let count = 0; ; count += 1) {
    if (count > MAX_ROOTS) refuse("root", "there are too many roots");
    const next = await read(`metadata/${root.version + 1}.root.json`, LIMITS.root);
    if (next === null) break;
    const newer = await own(next, await own(next, root, realm), realm); // by its own keys, after those of the old root
    if (newer.version !== root.version + 1) refuse("root", "it has another version than its name says");
    root = newer;
  }
  onLink("root", unexpired(root, "root", now));
  const byRoot = async (bytes, name) => unexpired(await checked(bytes, name, name, root.roles[name], root.keys, realm), name, now);
  const timestamp = await byRoot(await needed("metadata/timestamp.json", LIMITS.timestamp, "timestamp"), "timestamp");
  onLink("timestamp", timestamp);
  const number = timestamp.meta["snapshot.json"].version;
  const snapshot = await byRoot(await needed(`metadata/${number}.snapshot.json`, LIMITS.snapshot, "snapshot"), "snapshot");
  if (snapshot.version !== number) refuse("snapshot", "it has another version than timestamp says");
  onLink("snapshot", snapshot);

  const load = async (name, by, keys) => {
    const { version } = snapshot.meta[`${name}.json`] ?? refuse(name, "it isn't in snapshot");
    const bytes = await needed(`metadata/${version}.${encodeURIComponent(name)}.json`, LIMITS.role, name);
    const signed = unexpired(await checked(bytes, name, "targets", by, keys, realm), name, now);
    if (signed.version !== version) refuse(name, "it has another version than snapshot says");
    onLink(name, signed);
    return signed;
  };
  const find = async (path, name, signed) => {
    if (Object.hasOwn(signed.targets, path)) return { info: signed.targets[path], signer: name };
    const { keys, roles = [], succinct_roles: bins } = signed.delegations ?? {};
    const parts = path.split("/");
    const fits = (pattern) =>
      pattern.split("/").length === parts.length && pattern.split("/").every((part, i) => part === "*" || part === parts[i]);
    const role = roles.find(({ paths = [] }) => paths.some(fits)); // delegations are terminating
    if (role) return find(path, role.name, await load(role.name, role, keys));
    if (!bins) return null;
    const bin = (parseInt((await sha256(new TextEncoder().encode(path))).slice(0, 8), 16) >>> (32 - bins.bit_length)).toString(16);
    const width = (2 ** bins.bit_length - 1).toString(16).length;
    const named = `${bins.name_prefix}-${bin.padStart(width, "0")}`;
    return find(path, named, await load(named, bins, keys));
  };
  const [namespace, short] = plugin.split("/");
  const found = await find(`index/${plugin}.json`, "targets", await load("targets", root.roles.targets, root.keys));
  if (!found) refuse("index", "nobody signed a plugin of that name");
  const { info, signer } = found;
  const digest = info.hashes.sha256 ?? refuse("index", "it is signed without a SHA-256");
  if (info.length > LIMITS.index) refuse("index", "it is too large");
  const bytes = await needed(`targets/index/${namespace}/${digest}.${short}.json`, info.length, "index");
  if (bytes.length !== info.length || (await sha256(bytes)) !== digest) refuse("index", "it isn't the file that was signed");
  const document = JSON.parse(new TextDecoder().decode(bytes));
  if (document.namespace !== namespace || document.name !== short) refuse("index", "it is another plugin's");
  return { document, digest, signer, root, timestamp };
}
