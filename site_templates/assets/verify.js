// The form that verifies a plugin in the reader's browser, by the page's own script and no other server; the chain itself
// is chain.js, whose address the form has.

const form = document.querySelector("[data-verify]");
if (form) start(form);

function start(where) {
  where.hidden = false;
  const [plugin, root, file, fingerprint, address] = ["plugin", "root", "file", "fingerprint", "address"].map((name) =>
    where.elements.namedItem(name),
  );
  plugin.value = new URLSearchParams(location.search).get("plugin") ?? plugin.value;
  file.addEventListener("change", async () => {
    if (file.files[0]) root.value = await file.files[0].text();
  });
  where.addEventListener("submit", async (event) => {
    event.preventDefault();
    const output = where.querySelector("output");
    const button = where.querySelector("button[type=submit]");
    button.disabled = true;
    try {
      const tree = new URL(address?.value || where.dataset.tree, location.href);
      await verify(output, where.dataset.chain, tree, plugin.value.trim(), root.value.trim(), fingerprint.value.trim());
    } catch (error) {
      tellRefused(output, error);
    } finally {
      button.disabled = false;
    }
  });
}

async function verify(output, chain, tree, plugin, root, fingerprint) {
  delete output.dataset.state;
  output.replaceChildren(line(say("Checking…")));
  if (!globalThis.crypto?.subtle) {
    show(output, "refused", say("This browser checks signatures on https pages only."));
    return;
  }
  if (!/^[a-z0-9][a-z0-9._-]*\/[a-z0-9][a-z0-9._-]*$/.test(plugin)) {
    show(output, "refused", say("Write the plugin as NAMESPACE/NAME."));
    return;
  }
  const base = tree.href.endsWith("/") ? tree : new URL(`${tree.href}/`);
  const read = (path, limit) => get(new URL(path, base), limit);
  const { verifyPlugin, sha256 } = globalThis.sealdexChain ?? (await imported(new URL(chain, location.href)));
  const links = [];
  try {
    let pinned = new TextEncoder().encode(`${root}\n`);
    if (!root) {
      const wanted = fingerprint.toLowerCase().replace(/[^0-9a-f]/g, "");
      if (wanted.length !== 64) {
        show(output, "refused", say("Paste the root, or its fingerprint of 64 digits, which you have from the registry's owners."));
        return;
      }
      pinned = await rootOf(read, wanted, sha256);
      if (!pinned) {
        show(output, "refused", say("The server has no root with this fingerprint."));
        return;
      }
    }
    const onLink = (name, { version, expires }) => links.push(say("{name}, version {version}, until {day}", { name, version, day: sayDay(expires) }));
    const found = await verifyPlugin({ read, root: pinned, plugin, onLink });
    const { document: signed, digest, signer, timestamp } = found;
    show(output, "proved", say("{plugin} is what the registry signed.", { plugin }), [
      ...links,
      say("The index document, with the SHA-256 {digest}, is signed by {signer}.", { digest, signer }),
      say("Newest release: {version}. Releases: {count}.", { version: signed.releases[0]?.version ?? "-", count: signed.releases.length }),
      say("The registry confirmed this until {day}.", { day: sayDay(timestamp.expires) }),
    ]);
  } catch (error) {
    tellRefused(output, error, links);
  }
}

/** What the reader can be told as it is: a message in the page's language, and what the browser said of it. */
class SaidError extends Error {
  constructor(message, technical = "") {
    super(message);
    this.technical = technical;
  }
}

/** Say why something isn't verified, in the page's language; what the browser says itself is kept apart. */
function tellRefused(output, error, links = []) {
  const unforeseen = new SaidError(say("Something unexpected happened."), error?.message ?? String(error));
  const { message, technical } = error instanceof SaidError ? error : unforeseen;
  const value = error?.link ? say("{label}: {value}", { label: error.link, value: reason(error) }) : message;
  show(output, "refused", say("Not verified. {message}", { message: value }), links, error?.link ? "" : technical);
}

async function imported(address) {
  try {
    return await import(address);
  } catch (error) {
    throw new SaidError(say("A script of this page didn't load."), error.message);
  }
}

/** A network's failure, which browsers tell in English, and not in detail. */
function unreached(address, error) {
  if (navigator.onLine === false) return new SaidError(say("This device is offline."), error.message);
  return new SaidError(say("The server of {address} can't be reached, or doesn't let this page read it.", { address }), error.message);
}

/** Why a link of the chain was refused, in the page's language. */
function reason({ text, values }) {
  return say(text, values.day ? { ...values, day: sayDay(values.day) } : values);
}

/** The root with a fingerprint: the registry keeps all of them, from the first on. */
async function rootOf(read, fingerprint, sha256) {
  for (let version = 1; version < 256; version += 1) {
    const bytes = await read(`metadata/${version}.root.json`, 512_000);
    if (!bytes) return null;
    if ((await sha256(bytes)) === fingerprint) return bytes;
  }
  return null;
}

async function get(address, limit) {
  const answer = await fetch(address, { cache: "no-cache", credentials: "omit" }).catch((error) => {
    throw unreached(address, error);
  });
  if (answer.status === 404 || answer.status === 403) return null;
  if (!answer.ok) throw new SaidError(say("{address} answered {status}", { address, status: answer.status }));
  const parts = [];
  let length = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read().catch((error) => {
      throw unreached(address, error);
    });
    if (done) break;
    length += value.length;
    if (length > limit) {
      await reader.cancel();
      throw new SaidError(say("{address} is longer than it may be", { address }));
    }
    parts.push(value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function show(output, state, text, more = [], technical = "") {
  const list = document.createElement("ul");
  list.append(...more.map((each) => Object.assign(document.createElement("li"), { textContent: each })));
  output.replaceChildren(line(text), ...(more.length ? [list] : []), ...(technical ? [details(technical)] : []));
  output.dataset.state = state;
}

function details(technical) {
  const made = document.createElement("details");
  made.className = "technical";
  const summary = Object.assign(document.createElement("summary"), { textContent: say("Technical details") });
  made.append(summary, Object.assign(line(technical), { lang: "en" }));
  return made;
}

function line(text) {
  return Object.assign(document.createElement("p"), { textContent: text });
}
