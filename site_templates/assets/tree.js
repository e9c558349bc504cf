// What a plugin needs, and what that needs in turn. The page has the first level; the others follow from other plugins'
// releases, so that they would change the page with each of these. Read on request, level by level, from the index
// documents; drawn, and told as a list.

const MOST = 60; // plugins, of each two requests
const DEEPEST = 6;
const [WIDTH, GAP, ROW, BOX, LETTERS] = [220, 40, 38, 30, 26];
const SVG = "http://www.w3.org/2000/svg";

for (const place of document.querySelectorAll("[data-tree]")) offer(place);

function offer(place) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tree-button";
  button.textContent = say("Show what these need in turn");
  button.addEventListener("click", async () => {
    button.disabled = true;
    const root = new URL(place.dataset.tree, location.href);
    const found = await walk(root, place.dataset.plugin, (n) => {
      button.textContent = sayCount("Reading {n} plugin", "Reading {n} plugins", n);
    });
    place.replaceChildren(...shown(found, place.dataset.plugin, root));
    place.querySelector("[tabindex]").focus();
  });
  place.append(button);
}

// --- what there is ---------------------------------------------------------------------------------------------------

/** Plugins by id, each with its level and what its newest release needs; null where that can't be read. */
async function walk(root, plugin, tell) {
  const found = new Map([[plugin, { level: 0, needs: null }]]);
  let level = [plugin];
  for (let depth = 0; level.length && depth < DEEPEST; depth += 1) {
    tell(found.size);
    const read = await Promise.all(level.map((id) => needsOf(root, id)));
    const next = [];
    level.forEach((id, at) => {
      found.get(id).needs = read[at];
      for (const needed of Object.keys(read[at] ?? {}).sort()) {
        if (found.has(needed) || found.size >= MOST) continue;
        found.set(needed, { level: depth + 1, needs: null });
        next.push(needed);
      }
    });
    level = next;
  }
  for (const id of level) found.get(id).isLeft = true; // deeper than is read
  return found;
}

async function needsOf(root, id) {
  const named = /^([a-z0-9][a-z0-9._-]*)\/([a-z0-9][a-z0-9._-]*)$/.exec(id);
  if (!named) return null;
  const read = await readIndex(new URL(pluginFolder(named[1], named[2]), root));
  const needs = latest(Array.isArray(read?.releases) ? read.releases : [])?.dependencies ?? {};
  return read && typeof needs === "object" ? needs : null;
}

/** The release that pages show first; documents have the newest first. */
function latest(releases) {
  const offered = releases.filter((each) => !each.yanked);
  const stable = offered.filter((each) => (each.channels ?? ["stable"]).includes("stable"));
  const final = stable.filter((each) => !String(each.version).split("+")[0].includes("-"));
  return final[0] ?? stable[0] ?? offered[0] ?? releases[0];
}

// --- how it is shown -------------------------------------------------------------------------------------------------

function shown(found, plugin, root) {
  const scroll = document.createElement("div");
  Object.assign(scroll, { className: "scroll", tabIndex: 0 });
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", say("Drawing of the whole tree; the list has the same"));
  scroll.append(drawing(found, plugin));
  const told = document.createElement("ul");
  told.className = "tree";
  told.append(branch(plugin, "", found, new Set(), root));
  const about = document.createElement("p");
  about.className = "quiet";
  about.textContent = say("Of the newest release of each, as this server says; an installation may take others.");
  return [scroll, told, about];
}

/** A plugin and what it needs; one that was told above isn't told again. */
function branch(id, range, found, told, root) {
  const made = document.createElement("li");
  const named = found.get(id)?.needs ? document.createElement("a") : document.createElement("span");
  if (named.tagName === "A") named.href = new URL(pluginFolder(...id.split("/")), root).href;
  named.textContent = id;
  made.append(named);
  if (range) made.append(" ", quiet(range));
  const { needs, isLeft } = found.get(id) ?? { isLeft: true };
  if (isLeft) made.append(" ", quiet(say("(not read further)")));
  else if (!needs) made.append(" ", quiet(say("(not here)")));
  const entries = Object.entries(needs ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  if (!entries.length) return made;
  if (told.has(id)) {
    made.append(" ", quiet(say("(as above)")));
    return made;
  }
  told.add(id);
  const list = document.createElement("ul");
  list.append(...entries.map(([needed, wanted]) => branch(needed, String(wanted), found, told, root)));
  made.append(list);
  return made;
}

function quiet(text) {
  return Object.assign(document.createElement("span"), { className: "range", textContent: text });
}

/** Columns by level, joined by lines. */
function drawing(found, plugin) {
  const columns = [];
  for (const [id, { level }] of found) (columns[level] ??= []).push(id);
  const rows = Math.max(...columns.map((column) => column.length));
  const [width, height] = [columns.length * (WIDTH + GAP) - GAP, rows * ROW];
  const places = new Map();
  columns.forEach((column, level) => {
    const top = (height - column.length * ROW) / 2;
    column.forEach((id, at) => places.set(id, { x: level * (WIDTH + GAP), y: top + at * ROW + ROW / 2 }));
  });
  const svg = drawn("svg", { class: "drawing graph", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
  for (const [id, { needs }] of found) {
    for (const needed of Object.keys(needs ?? {})) {
      const [from, to] = [places.get(id), places.get(needed)];
      if (!to) continue;
      const middle = (from.x + WIDTH + to.x) / 2;
      svg.append(drawn("path", { class: "line", d: `M${from.x + WIDTH} ${from.y}C${middle} ${from.y} ${middle} ${to.y} ${to.x} ${to.y}` }));
    }
  }
  for (const [id, { x, y }] of places) {
    const group = drawn("g", id === plugin ? { class: "own" } : {});
    const text = drawn("text", { x: x + WIDTH / 2, y: y + 4.5 });
    text.textContent = id.length > LETTERS ? `${id.slice(0, LETTERS - 1)}\u2026` : id;
    const title = drawn("title", {});
    title.textContent = id;
    text.append(title);
    group.append(drawn("rect", { class: "box", x, y: y - BOX / 2, width: WIDTH, height: BOX, rx: 6 }), text);
    svg.append(group);
  }
  return svg;
}

function drawn(kind, attributes) {
  const made = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
