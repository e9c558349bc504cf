// What a plugin's page says of today, and what it remembers: pages themselves are the same bytes on every day.

const YEAR_MS = 365.25 * 86_400_000;
const KEY = "sealdex-install";

for (const place of document.querySelectorAll("[data-last-year]")) lastYear(place);
for (const place of document.querySelectorAll("[data-checked]")) checked(place);
for (const place of document.querySelectorAll("[data-tabs]")) tabs(place);
for (const place of document.querySelectorAll("[data-compare]")) comparison(place);

/** How many releases there were in the last year. */
function lastYear(place) {
  const since = Date.now() - YEAR_MS;
  const days = place.dataset.lastYear.split(" ").filter(Boolean);
  if (!days.length) return;
  const recent = days.filter((day) => Date.parse(day) >= since).length;
  place.textContent = sayCount("{n} release in the last year", "{n} releases in the last year", recent);
  place.hidden = false;
}

/** When the registry last confirmed what it has, as its timestamp says. Clients verify that; this page only reads it. */
async function checked(place) {
  let signed;
  try {
    const answer = await fetch(place.dataset.checked, { cache: "no-cache" });
    if (!answer.ok) return;
    signed = (await answer.json()).signed;
  } catch {
    return; // of a tree that isn't published, or without a network
  }
  const at = signed?.["x-sealdex-signed-at"];
  const until = signed?.expires;
  if (typeof until !== "string" || Number.isNaN(Date.parse(until))) return;
  const parts = [];
  if (typeof at === "string" && !Number.isNaN(Date.parse(at))) parts.push(say("Last confirmed on {day}.", { day: sayDay(at) }));
  parts.push(
    Date.parse(until) < Date.now()
      ? say("That expired on {day}: clients refuse it.", { day: sayDay(until) })
      : say("Valid until {day}.", { day: sayDay(until) }),
  );
  place.textContent = parts.reduce((first, second) => say("{first} {second}", { first, second }));
  place.hidden = false;
}

/** Remember which way to install was chosen; the tabs themselves need no script. */
function tabs(place) {
  const choices = [...place.querySelectorAll("input[type=radio]")];
  let chosen = null;
  try {
    chosen = localStorage.getItem(KEY);
  } catch {
    return; // no storage: nothing is remembered
  }
  const found = choices.find((choice) => choice.value === chosen);
  if (found) found.checked = true;
  place.addEventListener("change", (event) => {
    try {
      localStorage.setItem(KEY, event.target.value);
    } catch {
      // full, or refused meanwhile
    }
  });
}

/** A form that leads to the comparison of two releases. */
function comparison(place) {
  const versions = [...document.querySelectorAll("tr[data-version]")].map((row) => row.dataset.version);
  if (versions.length < 2) return;
  const form = document.createElement("form");
  form.className = "compare-form";
  form.action = place.dataset.compare;
  form.append(hidden("plugin", place.dataset.plugin));
  form.append(picker("from", say("Compare"), versions, versions[1]));
  form.append(picker("to", say("with"), versions, versions[0]));
  const button = document.createElement("button");
  button.type = "submit";
  button.textContent = say("Show what changed");
  form.append(button);
  place.append(form);
}

function hidden(name, value) {
  const made = document.createElement("input");
  Object.assign(made, { type: "hidden", name, value });
  return made;
}

function picker(name, text, versions, chosen) {
  const label = document.createElement("label");
  const made = document.createElement("select");
  made.name = name;
  for (const version of versions) made.append(new Option(version, version, version === chosen, version === chosen));
  label.append(`${text} `, made);
  return label;
}
