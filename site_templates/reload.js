// Only on pages of `sealdex-builder serve --site`: reloads the page when it was rebuilt.

const PERIOD_MS = 700;
const mark = new URL("../reload.txt", import.meta.url);
let shown;

async function look() {
  try {
    const answer = await fetch(mark, { cache: "no-store" });
    const text = await answer.text();
    if (answer.ok && shown !== undefined && text !== shown) location.reload();
    else if (answer.ok) shown = text;
  } catch {
    // the server has stopped; it may be started again
  }
  setTimeout(look, PERIOD_MS);
}
look();
