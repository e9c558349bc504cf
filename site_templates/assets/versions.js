// On a release's page: the other releases, from the table of the plugin's page. A release's own page doesn't name them, so
// that a new release changes no page of an older one.

for (const place of document.querySelectorAll("[data-versions]")) show(place);

async function show(place) {
  const { versions: address, compare, plugin, version } = place.dataset;
  const base = new URL(address, location.href);
  let rows;
  try {
    const answer = await fetch(base);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    rows = [...page.querySelectorAll("tr[data-version]")];
  } catch {
    return; // without a network there is the link to the plugin's page
  }
  const known = rows.map((row) => ({
    version: row.dataset.version,
    page: link(row.querySelector("a[href]"), base),
    yanked: row.classList.contains("is-yanked"),
    pre: row.dataset.version.split("+")[0].includes("-"),
  }));
  const at = known.findIndex((each) => each.version === version);
  if (at < 0) return;
  place.className = "versions";
  if (known.length < 2) return place.append(say("There is no other release yet."));
  const nav = document.createElement("nav");
  nav.setAttribute("aria-label", say("Releases"));
  const [newer, older] = [known[at - 1], known[at + 1]];
  nav.append(step(older, "prev", say("Previous: {version}", { version: older?.version })));
  nav.append(picker(known, version));
  nav.append(step(newer, "next", say("Next: {version}", { version: newer?.version })));
  place.append(nav);
  const newest = known.find((each) => !each.yanked && !each.pre && each.page);
  const line = document.createElement("p");
  if (newest && known.indexOf(newest) < at) {
    line.append(tag(say("newer release")), " ", anchor(newest.page, newest.version), " \u00b7 ");
  }
  const other = newest && newest.version !== version ? newest : older;
  if (other) {
    const query = new URLSearchParams({ plugin, ...(known.indexOf(other) < at ? { from: version, to: other.version } : { from: other.version, to: version }) });
    line.append(anchor(new URL(`?${query}`, new URL(compare, location.href)).href, say("Compare with {version}", { version: other.version })));
  }
  place.append(line);
}

function link(found, base) {
  if (!found) return null;
  const target = new URL(found.getAttribute("href"), base);
  return target.origin === location.origin ? target.href : null;
}

function step(release, rel, text) {
  if (!release?.page) return document.createElement("span");
  const made = anchor(release.page, text);
  made.rel = rel;
  return made;
}

function anchor(address, text) {
  const made = document.createElement("a");
  made.href = address;
  made.textContent = text;
  return made;
}

function tag(text) {
  const made = document.createElement("span");
  made.className = "tag warn";
  made.textContent = text;
  return made;
}

function picker(known, version) {
  const label = document.createElement("label");
  const made = document.createElement("select");
  for (const each of known) {
    const option = new Option(each.yanked ? say("{version} (yanked)", { version: each.version }) : each.version, each.version);
    option.disabled = !each.page;
    option.selected = each.version === version;
    made.append(option);
  }
  made.addEventListener("change", () => {
    const found = known.find((each) => each.version === made.value);
    if (found?.page) location.assign(found.page);
  });
  label.append(`${say("Version")} `, made);
  return label;
}
