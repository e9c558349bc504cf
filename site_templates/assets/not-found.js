// The page that is served for addresses where nothing is, in every language of the site: the reader's comes first. That
// is the language of the address, else the first of the browser's that there is, else the site's own first.

const [list] = document.querySelectorAll("[data-languages]");
if (list) order(list);

function order(where) {
  const parts = [...where.querySelectorAll(":scope > section[lang]")];
  const below = (part) => location.pathname.startsWith(new URL(part.dataset.below, location.href).pathname);
  const [first, ...others] = parts;
  const wanted = navigator.languages ?? [];
  const chosen = others.find(below) ?? wanted.map((tag) => nearest(parts, tag)).find(Boolean) ?? first;
  where.prepend(chosen);
}

/** The part in a language: the same, its language without region or script, or another region of it. */
function nearest(parts, tag) {
  const [base] = tag.toLowerCase().split("-");
  const own = (part) => part.lang.toLowerCase();
  return (
    parts.find((part) => own(part) === tag.toLowerCase()) ??
    parts.find((part) => own(part) === base) ??
    parts.find((part) => own(part).split("-")[0] === base)
  );
}
