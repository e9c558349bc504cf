// Two releases of a plugin, compared by its signed documents: the index document, both manifests, and the lists of files of
// archives that both have. Nothing is verified here: this page came from the same server. `sealdex` verifies.

const place = document.querySelector("[data-comparison]");
const MAX_ROWS = 2000;
if (place) compare(place).catch(() => say_(place, say("The documents can't be read.")));

async function compare(where) {
  const asked = new URLSearchParams(location.search);
  const plugin = asked.get("plugin") ?? "";
  const [from, to] = [asked.get("from") ?? "", asked.get("to") ?? ""];
  const found = /^([a-z0-9._-]+)\/([a-z0-9._-]+)$/.exec(plugin);
  if (!found) {
    say_(where, say("Choose two releases on a plugin's page: this address names no plugin."));
    return;
  }
  const root = new URL(where.dataset.root, location.href);
  const tree = new URL(where.dataset.tree, location.href);
  const [, namespace, name] = found;
  const page = new URL(pluginFolder(namespace, name), root);
  const index = await readIndex(page);
  if (!index) {
    say_(where, say("{plugin} isn't here, or can't be read now.", { plugin }));
    return;
  }
  const releases = index.releases ?? [];
  const [old, now] = [from, to].map((version) => releases.find((each) => each.version === version));
  where.replaceChildren(head(plugin, page, releases, from, to));
  if (!old || !now) {
    where.append(paragraph(say("Choose two releases.")));
    return;
  }
  const folder = (release) => new URL(`plugins/${namespace}/${name}/${encodeURIComponent(release.version)}/`, tree);
  const [before, after] = await Promise.all([old, now].map((release) => readJson(new URL("manifest.json", folder(release)))));
  section(where, say("At a glance"), table([say("Fact"), from, to], glance(old, now)));
  section(where, say("Dependencies"), changes(flat(old.dependencies ?? {}), flat(now.dependencies ?? {}), say("No difference.")));
  section(where, say("Artifacts"), table([say("Artifact"), from, to, say("Difference")], artifacts(old, now)));
  await files(where, old, now, folder);
  if (before && after) {
    const settings = (manifest) => flat(manifest.config_schema?.properties ?? {});
    section(where, say("Configuration"), changes(settings(before), settings(after), say("The schema is the same.")));
    section(where, say("Permissions and resources"), changes(flat(asks(before)), flat(asks(after)), say("No difference.")));
    section(where, say("Manifest"), changes(flat(rest(before)), flat(rest(after)), say("The same otherwise.")));
  } else {
    where.append(paragraph(say("A manifest can't be read, so settings aren't compared.")));
  }
  const said = say("Made of the signed documents as this server sent them. To verify them: {command}", { command: "\u0000" });
  const [lead, tail] = said.split("\u0000");
  const origin = paragraph(lead);
  origin.append(Object.assign(document.createElement("code"), { textContent: `sealdex info ${plugin}@${to}` }), tail);
  where.append(origin);
}

// --- what is compared ------------------------------------------------------------------------------------------------

function glance(old, now) {
  const sum = (release) => (release.artifacts ?? []).reduce((total, each) => total + (each.size ?? 0), 0);
  const rows = [
    [say("Released"), day(old), day(now)],
    [say("Channels"), (old.channels ?? ["stable"]).join(say(", ")), (now.channels ?? ["stable"]).join(say(", "))],
    [say("Size of all artifacts"), saySize(sum(old)), saySize(sum(now))],
    [say("Minimum host version"), old.min_host_version ?? "\u2013", now.min_host_version ?? "\u2013"],
    [say("Yanked"), old.yanked ? say("yes") : say("no"), now.yanked ? say("yes") : say("no")],
  ];
  return rows;
}

function day(release) {
  return release.released_at ? sayDay(release.released_at) : say("not dated");
}

/** Artifacts are the same by what they are for, and among those by their place. */
function paired(old, now) {
  const keyed = (release) => {
    const seen = new Map();
    return new Map(
      (release.artifacts ?? []).map((each) => {
        const first = conditions(each) || say("any environment");
        const what = say("{first}, {second}", { first, second: each.format });
        seen.set(what, (seen.get(what) ?? 0) + 1);
        return [seen.get(what) > 1 ? `${what} (${seen.get(what)})` : what, each];
      }),
    );
  };
  const [left, right] = [keyed(old), keyed(now)];
  return [...new Set([...left.keys(), ...right.keys()])].map((what) => [what, left.get(what), right.get(what)]);
}

function conditions(artifact) {
  const labels = Object.entries(artifact.selector?.match_labels ?? {}).map(([key, value]) => `${key}=${value}`);
  const more = (artifact.selector?.match_expressions ?? []).map((each) => `${each.key} ${each.operator} ${(each.values ?? []).join("|")}`);
  return [...labels, ...more, ...(artifact.tags ?? [])].join(say(", "));
}

function artifacts(old, now) {
  return paired(old, now).map(([what, left, right]) => [
    what,
    left ? size(left) : "\u2013",
    right ? size(right) : "\u2013",
    !left ? say("added") : !right ? say("removed") : left.sha256 === right.sha256 ? say("the same bytes") : difference(left.size, right.size),
  ]);
}

function size(each) {
  return Number.isSafeInteger(each.size) ? saySize(each.size) : say("size not stated");
}

function difference(left, right) {
  if (!Number.isSafeInteger(left) || !Number.isSafeInteger(right)) return say("changed");
  if (left === right) return say("the same size");
  return `${right >= left ? "+" : "\u2212"}${saySize(Math.abs(right - left))}`;
}

async function files(where, old, now, folder) {
  for (const [what, left, right] of paired(old, now)) {
    if (!left?.file_list || !right?.file_list || left.sha256 === right.sha256) continue;
    const list = (release, each) => readJson(new URL(`${encodeURIComponent(each.file)}.files.json`, folder(release)));
    const [before, after] = await Promise.all([list(old, left), list(now, right)]);
    const heading = say("Files: {what}", { what });
    const [a, b] = [listed(before, left), listed(after, right)];
    if (!a || !b) {
      section(where, heading, paragraph(say("A list of files can't be read, so files aren't compared.")));
      continue;
    }
    const rows = [];
    for (const path of [...new Set([...a.keys(), ...b.keys()])].sort()) {
      const [was, is] = [a.get(path), b.get(path)];
      if (was?.content === is?.content) continue;
      rows.push([!was ? say("added") : !is ? say("removed") : say("changed"), path, was?.text ?? "\u2013", is?.text ?? "\u2013"]);
    }
    const same = paragraph(say("The files are the same; only the archive differs."));
    section(where, heading, rows.length ? table([say("Change"), say("File"), old.version, now.version], rows) : same);
  }
}

/**
 * The files and links of a list by path, each with what makes it the same and how it is shown. Entries are arrays: path,
 * kind, mode, size, SHA-256, and a link's target tenth (docs/format.md).
 */
function listed(list, artifact) {
  if (list?.format !== 1 || list.archive?.sha256 !== artifact.sha256 || !Array.isArray(list.entries)) return null;
  const found = new Map();
  for (const entry of list.entries) {
    const [path, kind, , bytes, sha256] = entry;
    if (kind === "file") found.set(path, { content: sha256, text: saySize(bytes) });
    else if (kind === "symlink") found.set(path, { content: `\u2192 ${entry[9]}`, text: `\u2192 ${entry[9]}` });
  }
  return found;
}

function asks(manifest) {
  const { permissions, resources, service, runtime } = manifest;
  return { ...(permissions && { permissions }), ...(resources && { resources }), ...(service && { service }), ...(runtime && { runtime }) };
}

const ELSEWHERE = new Set([
  "config_schema", "permissions", "resources", "service", "runtime", "artifacts", "dependencies", "version", "format",
  "released_at", "changelog", "namespace", "name",
]);

function rest(manifest) {
  return Object.fromEntries(Object.entries(manifest).filter(([key]) => !ELSEWHERE.has(key)));
}

/** Nested values as paths to leaves. */
function flat(value, path = "", found = new Map()) {
  if (value !== null && typeof value === "object" && Object.keys(value).length) {
    for (const [key, each] of Object.entries(value)) flat(each, Array.isArray(value) ? `${path}[${key}]` : path ? `${path}.${key}` : key, found);
  } else {
    found.set(path, typeof value === "string" ? value : JSON.stringify(value));
  }
  return found;
}

// --- how it is shown -------------------------------------------------------------------------------------------------

function changes(before, after, same) {
  before.delete("");
  after.delete("");
  const rows = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [was, is] = [before.get(path), after.get(path)];
    if (was === is) continue;
    rows.push([was === undefined ? say("added") : is === undefined ? say("removed") : say("changed"), path, was ?? "\u2013", is ?? "\u2013"]);
  }
  return rows.length ? table([say("Change"), say("What"), say("Before"), say("After")], rows) : paragraph(same);
}

function head(plugin, page, releases, from, to) {
  const made = document.createElement("div");
  const line = paragraph("");
  const link = document.createElement("a");
  link.href = page.href;
  link.textContent = plugin;
  line.append(link);
  const form = document.createElement("form");
  form.className = "compare-form";
  const hidden = document.createElement("input");
  Object.assign(hidden, { type: "hidden", name: "plugin", value: plugin });
  form.append(hidden, picker("from", say("Compare"), releases, from), picker("to", say("with"), releases, to));
  const button = document.createElement("button");
  button.type = "submit";
  button.textContent = say("Show what changed");
  form.append(button);
  made.append(line, form);
  return made;
}

function picker(name, text, releases, chosen) {
  const label = document.createElement("label");
  const made = document.createElement("select");
  made.name = name;
  for (const { version } of releases) made.append(new Option(version, version, version === chosen, version === chosen));
  label.append(`${text} `, made);
  return label;
}

function section(where, title, content) {
  const made = document.createElement("section");
  const heading = document.createElement("h2");
  heading.textContent = title;
  made.append(heading, content);
  where.append(made);
}

function table(headers, rows) {
  const scroll = document.createElement("div");
  Object.assign(scroll, { className: "scroll", tabIndex: 0 });
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", headers.join(say(", ")));
  const made = document.createElement("table");
  made.className = "comparison";
  const top = made.createTHead().insertRow();
  for (const text of headers) top.append(cell("th", text, "col"));
  const body = made.createTBody();
  for (const row of rows.slice(0, MAX_ROWS)) {
    const line = body.insertRow();
    row.forEach((text, at) => line.append(at === 0 ? cell("th", text, "row") : cell("td", text)));
  }
  scroll.append(made);
  if (rows.length > MAX_ROWS) scroll.append(paragraph(sayCount("{n} row more", "{n} rows more", rows.length - MAX_ROWS)));
  return scroll;
}

function cell(kind, text, scope) {
  const made = document.createElement(kind);
  if (scope) made.scope = scope;
  made.textContent = text;
  return made;
}

function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

function say_(where, text) {
  where.replaceChildren(paragraph(text));
}
