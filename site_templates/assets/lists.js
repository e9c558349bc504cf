// On a page of a list: how many there are, on how many pages, the first and the last of them, and where each letter begins.
// A page itself doesn't say so, since each plugin more would change all of them.

for (const head of document.querySelectorAll("[data-list]")) show(head);

async function show(head) {
  const { list, root, key } = head.dataset;
  let found;
  try {
    const answer = await fetch(list);
    if (!answer.ok) return;
    found = await answer.json();
  } catch {
    return;
  }
  const pages = Array.isArray(found?.pages) ? found.pages.filter((each) => typeof each?.page === "string") : [];
  if (!Number.isSafeInteger(found?.total) || !pages.length) return;
  const base = new URL(root, location.href);
  const addresses = pages.map((each) => new URL(each.page || "./", base)).filter((each) => each.origin === location.origin);
  if (addresses.length !== pages.length) return;
  place(head, "data-total").textContent = found.counts
    ? sayCount("{n} name", "{n} names", found.total)
    : sayCount("{n} plugin", "{n} plugins", found.total);
  counts(found.counts);
  if (pages.length < 2) return;
  initials(head, pages, addresses);
  pager(addresses, key, base);
}

/** How many plugins each name has. */
function counts(numbers) {
  for (const entry of document.querySelectorAll("li[data-name]")) {
    const name = entry.dataset.name;
    if (!numbers || !Object.hasOwn(numbers, name) || !Number.isSafeInteger(numbers[name])) continue;
    const made = document.createElement("span");
    made.className = "quiet";
    made.textContent = ` ${numbers[name].toLocaleString(document.documentElement.lang)}`;
    entry.append(made);
  }
}

/** Where each first letter begins: the last page that begins before it, since a page may have several. */
function initials(head, pages, addresses) {
  const nav = document.createElement("nav");
  nav.className = "initials";
  nav.setAttribute("aria-label", say("Initials"));
  // a list of one namespace is in the order of names, one of several in the order of namespaces
  const isOne = new Set(pages.map((page) => String(page.first).split("/")[0])).size === 1;
  const letter = (text) => [...((isOne && text.split("/").pop()) || text)][0]?.toUpperCase() ?? "";
  const starts = new Map();
  pages.forEach((page, at) => {
    if (typeof page.first === "string" && !starts.has(letter(page.first))) starts.set(letter(page.first), at);
  });
  for (const [name, at] of starts) {
    if (!name) continue;
    const made = document.createElement("a");
    made.href = addresses[at].href;
    made.textContent = name;
    nav.append(made);
  }
  if (starts.size > 1) place(head, "data-initials").append(nav);
}

/** Where something is told; a registry's own template may have no place for it. */
function place(head, name) {
  const found = head.querySelector(`[${name}]`);
  if (found) return found;
  const made = document.createElement("div");
  made.className = "quiet";
  made.setAttribute(name, "");
  head.append(made);
  return made;
}

/** "Page 3 of 129", with links to the first and the last. */
function pager(addresses, key, base) {
  const here = document.querySelector(".pager [data-page]");
  if (!here) return;
  const number = Number(here.dataset.page);
  here.textContent = say("Page {number} of {total}", { number, total: addresses.length });
  const end = (at, text, rel) => {
    const made = document.createElement("a");
    made.href = addresses[at].href;
    made.textContent = text;
    made.className = rel;
    return made;
  };
  if (number > 2) here.prepend(end(0, say("First"), "end"), " \u00b7 ");
  if (number < addresses.length - 1) here.append(" \u00b7 ", end(addresses.length - 1, say("Last"), "end"));
}
