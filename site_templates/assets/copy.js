// Copy buttons. A block marked <div data-copy="the install line"> ... <code>TEXT</code> ... </div> gets a button that
// copies the text of its <code>. The button is made here, so that without JavaScript there is none that does nothing.

const RESET_MS = 2000;

const status = document.createElement("p");
status.className = "visually-hidden";
status.setAttribute("role", "status");
document.body.append(status);

for (const block of document.querySelectorAll("[data-copy]")) {
  const code = block.querySelector("code");
  if (code) block.append(button(block.dataset.copy, code));
}

function button(what, code) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "copy";
  made.textContent = say("Copy");
  made.setAttribute("aria-label", say("Copy {what}", { what }));
  let reset;
  made.addEventListener("click", async () => {
    const done = await copied(code);
    made.textContent = done ? say("Copied") : say("Selected");
    made.dataset.done = done;
    status.textContent = "";
    // a live region speaks when its text changes, so the same text twice needs a moment in between
    requestAnimationFrame(() => {
      status.textContent = done ? say("Copied {what}", { what }) : say("Selected {what}; press Ctrl+C to copy", { what });
    });
    clearTimeout(reset);
    reset = setTimeout(() => {
      made.textContent = say("Copy");
      delete made.dataset.done;
    }, RESET_MS);
  });
  return made;
}

/** Copy; where the browser refuses (no HTTPS, no permission), select the text instead. */
async function copied(code) {
  try {
    await navigator.clipboard.writeText(code.textContent.trimEnd());
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return false;
  }
}
