// Downloads over 30 days, from api/stats.json. Without that file, or without JavaScript, nothing is shown: pages are the
// same bytes whatever was counted.

const FORMAT = 1;
const DAYS = 30;
const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

for (const section of document.querySelectorAll("[data-stats]")) show(section);

async function show(section) {
  const { stats, plugin, release } = section.dataset;
  let found;
  try {
    const answer = await fetch(stats);
    if (!answer.ok) return;
    found = await answer.json();
  } catch {
    return; // a page of a proxy, or no network: the number is a courtesy
  }
  if (found?.format !== FORMAT || !DATE.test(found.last_day)) return;
  const end = Date.parse(found.last_day);
  if (Number.isNaN(end)) return;
  const since = new Date(end - (DAYS - 1) * DAY_MS).toISOString().slice(0, 10);
  const releases = own(found.plugins, plugin);
  const wanted = release === undefined ? Object.values(releases) : [own(releases, release)];
  let total = 0;
  for (const numbers of wanted) {
    for (const [day, number] of Object.entries(numbers ?? {})) {
      if (day >= since && day <= found.last_day && Number.isSafeInteger(number) && number > 0) total += number;
    }
  }
  if (!Number.isSafeInteger(total)) return;
  const text = sayCount("{n} in the {days} days to {day}", "{n} in the {days} days to {day}", total, {
    days: DAYS,
    day: sayDay(found.last_day),
  });
  section.querySelector("[data-number]").textContent = text;
  section.hidden = false;
  glance(total);
}

/** The same in short, at the top of a plugin's page. */
function glance(total) {
  const place = document.querySelector("[data-downloads]");
  if (!place || !total) return;
  place.textContent = sayCount("{n} download in {days} days", "{n} downloads in {days} days", total, { days: DAYS });
  place.hidden = false;
}

/** A value of an object itself, and not of what all objects inherit. */
function own(values, name) {
  return values && Object.hasOwn(values, name) ? values[name] : {};
}
