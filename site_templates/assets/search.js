// The search page. Everything it shows is created here, inside
//
//   <div data-search data-catalogue="search/catalogue.json" data-names="assets/search-names.js"
//        data-files="assets/search-files.js" data-worker="assets/search-worker.js" data-engine="assets/search-engine.js"
//        data-text="assets/search-text.js" data-packed="assets/search-packed.js" data-root="./"> ...what people without JavaScript read... </div>
//
// whose URLs are relative to the page. The worker searches all rows, search-names.js what a large registry has by name; this
// module keeps three things in step: the query (`asked`), the URL (?q=words&type=build&os=linux&metric=top1>=0.8&sort=name),
// and the page. Text from the catalog only ever becomes text nodes and encoded path segments.

const PAGE_OF_RESULTS = 40;
const ADDRESS_DELAY_MS = 300; // browsers refuse to change the address more often than some 100 times in 30 s

const FACETS = {
  type: say("Type"),
  os: say("Operating system"),
  arch: say("Architecture"),
  tag: say("Tag"),
  channel: say("Channel"),
  licence: say("License"),
  deprecated: say("Deprecated"),
  namespace: say("Namespace"),
  keyword: say("Keyword"),
};
const LANGUAGE = document.documentElement.lang;
const SORTS = { relevance: say("Relevance"), recent: say("Recently released"), used: say("Most used by others"), name: say("Name") };
const METRIC = /^\s*[^\s<>=]+\s*(>=|<=|>|<|=)\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$/; // as search-engine.js reads it
// the language that is mostly written in a script; "und" where several are
const SCRIPTS = Object.entries({
  ja: /[\p{sc=Hiragana}\p{sc=Katakana}]/gu,
  zh: /\p{sc=Han}/gu,
  ko: /\p{sc=Hangul}/gu,
  th: /\p{sc=Thai}/gu,
  he: /\p{sc=Hebrew}/gu,
  el: /\p{sc=Greek}/gu,
  hy: /\p{sc=Armenian}/gu,
  ka: /\p{sc=Georgian}/gu,
  und: /[\p{sc=Cyrillic}\p{sc=Arabic}\p{sc=Devanagari}]/gu,
});

const root = document.querySelector("[data-search]");
const title = document.title;
const address = (name) => new URL(root.dataset[name], document.baseURI).href;
const asked = fromAddress();
let shown = PAGE_OF_RESULTS;
const wide = new Set(); // facets listed in full

// ---- who answers: one query at a time, and of those that wait only the newest counts ----------------------------

const ALLOWED = `all of ${address("catalogue")}`; // in the session's storage, once somebody wanted all rows

let opening = null; // `opened`, once something was asked for
let said = null; // what search/catalogue.json says
let worker = null;
let answering = false;
let waiting = false;
let last = null; // the last answer
let failure = ({ kind = "unexpected", message }) => ({ kind, technical: message }); // that of search-files.js, once it is there
let all = false; // whether more than names was asked for on this page

/** Read where the catalog is; when something is asked for the first time. */
async function opened() {
  const [{ Names, isLarge, needsAll }, files] = await Promise.all(["names", "files"].map(script));
  failure = files.failure;
  said = await files.catalog(address("catalogue"));
  let names = null;
  if (said.names) {
    const [{ Catalogue }, text, packed] = await Promise.all(["engine", "text", "packed"].map(script));
    names = new Names(said, address("catalogue"), Catalogue, text, packed, files.json);
  }
  return { names, needsAll, isLarge: isLarge(said) };
}

async function script(name) {
  try {
    return await import(address(name));
  } catch (error) {
    throw Object.assign(error, { kind: error instanceof SyntaxError ? "old" : "script" });
  }
}

/** The worker; it starts, and reads all rows, when they are needed for the first time. */
function started() {
  if (worker) return worker;
  let knowsModules = false;
  const options = {
    get type() {
      knowsModules = true;
      return "module";
    },
  };
  worker = new Worker(address("worker"), options);
  worker.onmessage = ({ data }) => answers[data.did](data);
  worker.onerror = ({ message = "" }) => answers.failed({ kind: knowsModules ? "script" : "old", technical: message });
  const shards = said.shards.map((shard) => new URL(shard, address("catalogue")).href);
  const [files, engine, text, packed] = ["files", "engine", "text", "packed"].map(address);
  worker.postMessage({ do: "load", shards, files, engine, text, packed });
  return worker;
}

/**
 * Have a query answered: by names, as long as they can; else by all rows, if they are few or were asked for. The answer's
 * `part` says what was searched: null all rows, "names" names and titles alone, "none" nothing.
 */
async function respond(query) {
  opening ??= opened();
  const { names, needsAll, isLarge } = await opening;
  if (names && !worker && !all) {
    const found = query.text.trim() && !needsAll(query) ? await names.query(query) : null;
    if (found) return answers.query({ ...found, part: "names" });
    const isAllowed = !isLarge || sessionStorage.getItem(ALLOWED) !== null;
    if (!isAllowed || !(query.text.trim() || needsAll(query))) {
      return answers.query({ total: 0, rows: [], meant: null, facets: {}, metrics: [], part: "none" });
    }
  }
  started().postMessage({ do: "query", ...query });
}

const answers = {
  progress({ read, shards }) {
    page.progress.hidden = false;
    page.progress.max = shards;
    page.progress.value = read;
  },
  ready({ milliseconds }) {
    page.progress.hidden = true;
    root.dataset.milliseconds = Math.round(milliseconds); // for the benchmark
  },
  query(answer) {
    answering = false;
    const { plugins, size, held } = said;
    const rows = answer.rows.map((row) => (isHeld(held, row) ? row : { ...row, absent: true }));
    last = { part: null, ...answer, rows, plugins, size };
    show(last);
    if (waiting) ask();
  },
  failed({ kind, values = {}, technical }) {
    if (kind === "memory") {
      sessionStorage.removeItem(ALLOWED); // names alone are searched again
      all = false;
    }
    page.status.textContent = say("Search failed: {reason}. Reload the page, or browse the lists.", { reason: why(kind, values) });
    page.technical.hidden = !technical;
    page.technical.querySelector("code").textContent = technical;
    page.progress.hidden = true;
    root.dataset.state = "failed";
    worker?.terminate();
    [answering, opening, worker] = [false, null, null]; // another key stroke tries it again
    if (waiting) ask();
  },
};

/** What went wrong, in the page's language. */
function why(kind, values) {
  if (["network", "script"].includes(kind) && navigator.onLine === false) return say("this device is offline");
  if (kind === "network") return say("the registry can't be reached");
  if (kind === "status") return say("the registry answered with the status {status}", values);
  if (kind === "malformed") return say("the registry's search data are damaged");
  if (kind === "format") return say("the registry's search data are newer than this page can read");
  if (kind === "memory") return say("this browser lacks the memory for all plugins");
  if (kind === "script") return say("a script of this page didn't load");
  if (kind === "old") return say("this browser is too old for this page");
  return say("something unexpected happened");
}

/** Whether this place has a plugin: mirrors of a part list theirs, by namespace, and the catalog has all. */
function isHeld(held, { namespace, name }) {
  if (!held) return true;
  const own = Object.hasOwn(held, namespace) && held[namespace];
  return own === true || (own && own.includes(name));
}

function ask() {
  waiting = answering;
  if (answering) return;
  answering = true;
  root.dataset.state = "asking";
  const facets = Object.fromEntries(Object.entries(asked.facets).map(([key, values]) => [key, [...values]]));
  const { text, sort } = asked;
  const metrics = [...asked.metrics];
  const query = { text, facets, metrics, sort: sort ?? "relevance", count: shown, wide: [...wide] };
  respond(query).catch((error) => answers.failed(failure(error)));
}

function changed() {
  shown = PAGE_OF_RESULTS;
  clearTimeout(toAddress.timer);
  toAddress.timer = setTimeout(() => toAddress(), ADDRESS_DELAY_MS);
  ask();
}

// ---- the address ------------------------------------------------------------------------------------------------

function fromAddress() {
  const parameters = new URLSearchParams(location.search);
  const sort = parameters.get("sort");
  return {
    text: parameters.get("q") ?? "",
    facets: Object.fromEntries(Object.keys(FACETS).map((key) => [key, new Set(parameters.getAll(key))])),
    metrics: new Set(parameters.getAll("metric").filter((text) => METRIC.test(text))),
    sort: Object.hasOwn(SORTS, sort ?? "") ? sort : null,
  };
}

/** Put what is asked into the address; with `leaving`, the answer too, for who comes back. */
function toAddress(leaving = false) {
  clearTimeout(toAddress.timer);
  const parameters = new URLSearchParams();
  if (asked.text.trim()) parameters.set("q", asked.text.trim());
  for (const [key, values] of Object.entries(asked.facets)) for (const value of values) parameters.append(key, value);
  for (const metric of asked.metrics) parameters.append("metric", metric);
  if (asked.sort) parameters.set("sort", asked.sort);
  const text = parameters.toString();
  const kept = leaving && last && !answering && !waiting;
  const focus = document.activeElement?.dataset.key;
  const { open } = page.filters.parentElement;
  const state = kept ? { all, answer: last, shown, wide: [...wide], open, y: scrollY, focus } : null;
  history.replaceState(state, "", text ? `?${text}` : location.pathname);
  document.title = asked.text.trim() ? `${asked.text.trim()} · ${title}` : title;
}

// ---- the page ---------------------------------------------------------------------------------------------------

/** Make an element; attributes that are false or undefined are left out. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const page = {
  field: element("input", {
    type: "search",
    id: "search-text",
    name: "q",
    placeholder: say("Name, keyword or what it does"),
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    enterkeyhint: "search",
    "aria-describedby": "search-keys",
    oninput: () => {
      asked.text = page.field.value;
      changed();
    },
  }),
  sort: element(
    "select",
    {
      id: "search-sort",
      onchange: () => {
        asked.sort = page.sort.value;
        changed();
      },
    },
    ...Object.entries(SORTS).map(([value, label]) => element("option", { value }, label)),
  ),
  status: element("p", { class: "search-status", role: "status" }, say("Loading")),
  technical: element(
    "details",
    { class: "technical", hidden: true },
    element("summary", {}, say("Technical details")),
    element("p", { lang: "en" }, element("code")),
  ),
  progress: element("progress", { "aria-label": say("Reading the catalog"), hidden: true }),
  chips: element("ul", { class: "search-chips", "aria-label": say("Chosen filters") }),
  meant: element("p", { class: "search-meant", hidden: true }),
  results: element("ol", { class: "plugins search-results", "aria-label": say("Results") }),
  more: element("button", { type: "button", class: "search-more", hidden: true, onclick: showMore }, say("Show more")),
  filters: element("div", { class: "search-facets" }),
};

page.field.value = asked.text;
root.replaceChildren(
  element(
    "form",
    { class: "search-form", role: "search", action: location.pathname, onsubmit: submitted },
    element("label", { for: "search-text", class: "visually-hidden" }, say("Search plugins")),
    element("div", { class: "search-field" }, page.field, element("button", { type: "submit", "aria-label": say("Search") })),
    element(
      "p",
      { class: "search-keys", id: "search-keys" },
      ...[["/"], say("search"), ["↓"], ["↑"], say("through the results"), ["Enter"], say("open"), ["Esc"], say("clear")].flatMap(
        (part, at, all) => [
          Array.isArray(part) ? element("kbd", {}, ...part) : part,
          Array.isArray(part) ? " " : at < all.length - 1 ? " · " : "",
        ],
      ),
    ),
  ),
  element(
    "div",
    { class: "search-columns" },
    element(
      "details",
      { class: "search-filters", open: matchMedia("(min-width: 56rem)").matches },
      element("summary", {}, say("Filters")),
      page.filters,
    ),
    element(
      "div",
      { class: "search-found" },
      element(
        "div",
        { class: "search-bar" },
        page.status,
        page.progress,
        element("label", { class: "search-sort" }, element("span", {}, say("Sort by")), " ", page.sort),
      ),
      page.technical,
      page.chips,
      page.meant,
      page.results,
      page.more,
    ),
  ),
);
root.addEventListener("keydown", walk);
root.addEventListener("change", ({ target }) => {
  if (target.dataset.facet) choose(target.dataset.facet, target.value, target.checked);
});
addEventListener("popstate", () => {
  Object.assign(asked, fromAddress());
  page.field.value = asked.text;
  shown = PAGE_OF_RESULTS;
  ask();
});
addEventListener("pagehide", () => toAddress(true));
page.results.addEventListener("click", () => toAddress(true)); // so that "back" restores the query
const [arrival] = performance.getEntriesByType("navigation");
if (arrival?.type === "back_forward" && history.state?.answer) comeBack(history.state);
else ask();

/** Show the answer that this page was left with, and its place, without reading the catalog again. */
function comeBack({ all: wasAll, answer, shown: count, wide: full, open, y, focus }) {
  last = answer;
  all = wasAll;
  shown = count;
  for (const key of full) wide.add(key);
  page.filters.parentElement.open = open;
  show(answer);
  if (focus) root.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  history.scrollRestoration = "manual"; // the browser restored it before there was anything to scroll
  scrollTo(0, y);
}

function show(answer) {
  const { total, rows, facets, meant, metrics, part, isCut } = answer;
  root.dataset.state = "answered";
  const focused = document.activeElement?.dataset.key; // the focused element is rebuilt
  page.status.textContent = part === "none" ? "" : counted(total, part, isCut);
  page.technical.hidden = true;
  page.sort.value = asked.sort ?? (asked.text.trim() ? "relevance" : "recent");
  page.meant.hidden = meant === null && !part;
  page.meant.replaceChildren(...(part ? wider(answer) : meant === null ? [] : suggestion(meant)));
  page.results.replaceChildren(...rows.map(result));
  page.more.hidden = rows.length >= total;
  page.filters.replaceChildren(...Object.keys(FACETS).map((key) => filter(key, facets[key], total)), measured(metrics));
  page.filters.parentElement.hidden = page.filters.childElementCount === 0;
  page.chips.replaceChildren(...chips());
  if (total === 0 && !part) page.results.replaceChildren(nothing());
  if (focused) (root.querySelector(`[data-key="${CSS.escape(focused)}"]`) ?? page.field).focus();
}

function showMore() {
  const at = page.results.children.length;
  shown += PAGE_OF_RESULTS;
  ask();
  const arrived = new MutationObserver(() => {
    arrived.disconnect();
    page.results.children[at]?.querySelector("a").focus();
  });
  arrived.observe(page.results, { childList: true });
}

function result(row) {
  const facts = [
    row.type,
    row.license,
    row.labels?.os?.join(say(", ")),
    row.tags?.join(say(", ")),
    ...[...asked.metrics].map((metric) => metric.split(/[<>=]/)[0].trim()).map((name) => `${name} ${row.metrics[name]}`),
    row.updated_at && element("time", { datetime: row.updated_at }, sayDay(row.updated_at)),
  ].filter(Boolean);
  return element(
    "li",
    { class: "search-result" },
    element(
      "h2",
      { class: "plugin-name" },
      named(row),
      ...(row.latest ? [" ", element("span", { class: "version" }, row.latest)] : []),
      ...states(row).flatMap(([kind, text]) => [" ", element("span", { class: `tag ${kind}` }, text)]),
    ),
    ...(row.title ? [worded(row, "title")] : []),
    worded(row, "summary"),
    element("p", { class: "plugin-facts" }, ...facts.flatMap((fact) => [" · ", fact]).slice(1)),
    ...(row.deprecated || row.use ? [element("p", { class: "search-note" }, instead(row))] : []),
  );
}

/** The id of a plugin, which leads to its page, if that is here. */
function named(row) {
  const parts = [
    element("span", { class: "of" }, ...marked(row.namespace, row.marks.namespace), "/"),
    ...marked(row.name, row.marks.name),
  ];
  if (row.absent) return element("span", {}, ...parts);
  const href = new URL(folder(row), address("root")).href;
  return element("a", { href, "data-key": `result ${row.namespace}/${row.name}` }, ...parts);
}

/** The folder of a plugin's page; a plugin named index.html can't have one in the place of its namespace's page. */
function folder({ namespace, name }) {
  const [first, second] = [encodeURIComponent(namespace), encodeURIComponent(name)];
  return name === "index.html" ? `namespaces/${first}/plugins/${second}/` : `${first}/${second}/`;
}

function states(row) {
  const all = [];
  if (row.absent) all.push(["warn", say("not on this mirror")]);
  if (row.deprecated !== undefined) all.push(["warn", say("deprecated")]);
  if (!row.latest && !row.unversioned) all.push(row.releases ? ["stop", say("all releases yanked")] : ["", say("no releases yet")]);
  return all;
}

function instead(row) {
  return [row.deprecated, row.use && say("Use {plugin} instead.", { plugin: row.use })].filter(Boolean).join(" ");
}

/** Split a text so that what was found in it stands out: `marks` are pairs of offsets. */
function marked(text, marks = []) {
  const made = [];
  let at = 0;
  for (const [start, end] of marks) {
    made.push(text.slice(at, start), element("mark", {}, text.slice(start, end)));
    at = end;
  }
  return [...made, text.slice(at)].filter(Boolean);
}

function counted(total, part, isCut) {
  if (isCut) return sayCount("{n} plugin by name, and more", "{n} plugins by name, and more", total);
  if (part) return sayCount("{n} plugin by name", "{n} plugins by name", total);
  return sayCount("{n} plugin", "{n} plugins", total);
}

/** What to do where only names were searched: all rows are many bytes, so how many is said. */
function wider({ part, plugins, size, isCut }) {
  const everything = () => {
    all = true;
    sessionStorage.setItem(ALLOWED, "");
    page.field.focus();
    ask();
  };
  const label = say("Search all {count} plugins, in all texts and with filters (reads up to {size} MB)", {
    count: plugins.toLocaleString(LANGUAGE),
    size: Math.max(1, Math.ceil(size / 1e6)).toLocaleString(LANGUAGE),
  });
  const button = element("button", { type: "button", class: "search-all", "data-key": "wider", onclick: everything }, label);
  if (isCut) return [say("Many names begin so: type on."), " ", button];
  if (part !== "none") return [button];
  if (!asked.text.trim() && !hasFilters()) return [say("Type a name."), " ", button];
  return [say("Names and titles alone can't answer this."), " ", button];
}

function hasFilters() {
  return asked.metrics.size > 0 || Object.values(asked.facets).some((values) => values.size);
}

/** What was meant, where nothing matches what was asked. */
function suggestion(meant) {
  const take = () => {
    page.field.focus();
    asked.text = page.field.value = meant;
    changed();
  };
  return [say("Nothing exact; did you mean this?"), " ", element("button", { type: "button", class: "search-all", onclick: take }, meant)];
}

function noMatch(text, chosen) {
  if (!text) return say("No plugin matches these filters.");
  return chosen ? say("No plugin matches “{text}” with these filters.", { text }) : say("No plugin matches “{text}”.", { text });
}

/** Title or summary, in the page's language where the row has it, and said to be in its own where that is another. */
function worded(row, field) {
  const all = `${field}_i18n`;
  const tag = nearest(row[all] ?? {});
  const language = tag ?? languageOf(row[field], row.language);
  const parts = tag === undefined ? marked(row[field], row.marks[field]) : marked(row[all][tag], row.marks[all]?.[tag]);
  const other = language !== LANGUAGE;
  return element("p", { class: `plugin-${field}`, lang: other && language, dir: other && "auto" }, ...parts);
}

/** The tag that a reader of this page gets: the page's, its language without region, or another region of it. */
function nearest(texts) {
  const [base] = LANGUAGE.split("-");
  return [LANGUAGE, base].find((tag) => Object.hasOwn(texts, tag)) ?? Object.keys(texts).sort().find((tag) => tag.split("-")[0] === base);
}

/** The language of a text: the stated one, else what its script tells, else English; as pages have it. */
function languageOf(text, stated) {
  if (stated) return stated;
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const counts = SCRIPTS.map(([language, script]) => [language, text.match(script)?.length ?? 0]);
  const sum = counts.reduce((total, [, count]) => total + count, 0);
  if (!sum || sum < 0.2 * letters) return "en";
  if (counts[0][1] && counts[1][1]) return "ja"; // which has Han characters too
  return counts.reduce((most, each) => (each[1] > most[1] ? each : most))[0];
}

function nothing() {
  const chosen = hasFilters();
  const text = asked.text.trim();
  if (!text && !chosen) return element("li", { class: "search-nothing" }, say("Nothing is published yet."));
  return element(
    "li",
    { class: "search-nothing" },
    element("p", {}, noMatch(text, chosen)),
    element("button", { type: "button", onclick: () => clear(chosen) }, chosen ? say("Clear the filters") : say("Clear the search")),
  );
}

function filter(key, { values, more } = { values: [] }, total) {
  // nothing to choose where all that is found has the same value
  if (!values.length || (values.length === 1 && values[0][1] === total && !asked.facets[key].size)) return "";
  return element(
    "fieldset",
    { class: "search-facet" },
    element("legend", {}, FACETS[key]),
    ...values.map(([value, count]) => {
      const box = element("input", {
        type: "checkbox",
        value,
        "data-facet": key,
        "data-key": `${key} ${value}`,
      });
      box.checked = asked.facets[key].has(value);
      return element(
        "label",
        {},
        box,
        element("span", { class: "search-value" }, value),
        " ",
        element("span", { class: "search-count" }, count.toLocaleString(LANGUAGE)),
      );
    }),
    more || wide.has(key)
      ? element(
          "button",
          { type: "button", class: "search-all", "data-key": `all ${key}`, onclick: () => widen(key) },
          wide.has(key) ? say("Show fewer") : say("Show {number} more", { number: more.toLocaleString(LANGUAGE) }),
          element("span", { class: "visually-hidden" }, ` ${say("values of {filter}", { filter: FACETS[key].toLocaleLowerCase(LANGUAGE) })}`),
        )
      : "",
  );
}

/** A field for a demand on a metric, where some plugin was measured. */
function measured(metrics) {
  if (!metrics.length && !asked.metrics.size) return "";
  const example = `${metrics[0] ?? "top1"}>=0.8`;
  return element(
    "fieldset",
    { class: "search-facet" },
    element("legend", {}, say("Metric")),
    element("input", {
      type: "text",
      placeholder: example,
      "aria-label": say("Metric, such as {example}", { example }),
      "data-key": "metric",
      onchange: ({ target }) => demand(target, example),
    }),
    element("p", { class: "search-count" }, metrics.slice(0, 20).join(say(", "))),
  );
}

function labelled(label, value) {
  return say("{label}: {value}", { label, value });
}

function chips() {
  const chosen = Object.entries(asked.facets).flatMap(([key, values]) => [...values].map((value) => [key, value]));
  const made = chosen.map(([key, value]) =>
    element(
      "li",
      {},
      element(
        "button",
        { type: "button", "aria-label": say("Remove the filter {filter}", { filter: labelled(FACETS[key], value) }), onclick: () => unchoose(key, value) },
        `${labelled(FACETS[key], value)} `,
        element("span", { "aria-hidden": "true" }, "×"),
      ),
    ),
  );
  for (const metric of asked.metrics) {
    made.push(
      element(
        "li",
        {},
        element(
          "button",
          { type: "button", "aria-label": say("Remove the filter {filter}", { filter: labelled(say("Metric"), metric) }), onclick: () => forgo(metric) },
          `${labelled(say("Metric"), metric)} `,
          element("span", { "aria-hidden": "true" }, "×"),
        ),
      ),
    );
  }
  if (made.length > 1) made.push(element("li", {}, element("button", { type: "button", onclick: () => clear(true) }, say("Clear all"))));
  return made;
}

// ---- what people do ---------------------------------------------------------------------------------------------

function choose(key, value, chosen) {
  if (chosen) asked.facets[key].add(value);
  else asked.facets[key].delete(value);
  changed();
}

function unchoose(key, value) {
  page.field.focus();
  choose(key, value, false);
}

function demand(field, example) {
  const metric = field.value.trim();
  field.setCustomValidity(!metric || METRIC.test(metric) ? "" : say("Write it like {example}, with >=, <=, >, < or =", { example }));
  if (!metric || !field.reportValidity()) return;
  asked.metrics.add(metric);
  page.field.focus();
  changed();
}

function forgo(metric) {
  page.field.focus();
  asked.metrics.delete(metric);
  changed();
}

function widen(key) {
  if (!wide.delete(key)) wide.add(key);
  ask();
}

/** Clear the filters, or else the words. */
function clear(filters) {
  page.field.focus();
  if (filters) for (const values of [asked.metrics, ...Object.values(asked.facets)]) values.clear();
  else asked.text = page.field.value = "";
  changed();
}

/** Results are there already: to submit is to go to them. */
function submitted(event) {
  event.preventDefault();
  page.results.querySelector("h2 a")?.focus();
}

/** Arrows go from the field through the results and back; Escape clears and returns to the field. */
function walk(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const links = [...page.results.querySelectorAll("h2 a")];
  const at = links.indexOf(document.activeElement);
  const inField = document.activeElement === page.field;
  let target;
  if (event.key === "Escape" && (inField || at !== -1)) {
    page.field.focus();
    asked.text = page.field.value = "";
    event.preventDefault();
    changed();
    return;
  }
  if (event.key === "Enter" && inField) target = links[0]; // a second Enter opens it
  else if (event.key === "ArrowDown" && (inField || at !== -1)) target = links[at + 1] ?? links[at];
  else if (event.key === "ArrowUp" && at !== -1) target = links[at - 1] ?? page.field;
  else if (event.key === "Home" && at !== -1) target = links[0];
  else if (event.key === "End" && at !== -1) target = links.at(-1);
  if (!target) return;
  event.preventDefault();
  target.focus();
}
