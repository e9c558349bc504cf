// Only on pages of `sealdex-builder serve --site`: shows the page anew when it was made anew.

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
    // the server was ended; it may come back
  }
  setTimeout(look, PERIOD_MS);
}
look();
