// Reading the signed documents behind pages: this site's alone, and nothing is verified here. `sealdex` verifies.

(() => {
  globalThis.readJson = async (address) => {
    if (address.origin !== location.origin) return null;
    try {
      const answer = await fetch(address);
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  };

  /** The folder of a plugin's page below the home page; one named index.html can't have it in the usual place. */
  globalThis.pluginFolder = (namespace, name) =>
    name === "index.html" ? `namespaces/${namespace}/plugins/${name}/` : `${namespace}/${name}/`;

  /** The index document that a plugin's page names. */
  globalThis.readIndex = async (page) => {
    if (page.origin !== location.origin) return null;
    try {
      const answer = await fetch(page);
      if (!answer.ok) return null;
      const read = new DOMParser().parseFromString(await answer.text(), "text/html");
      const link = read.querySelector('link[rel="alternate"][type="application/json"]')?.getAttribute("href");
      return link ? await readJson(new URL(link, page)) : null;
    } catch {
      return null;
    }
  };
})();
