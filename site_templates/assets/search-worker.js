// Search over the catalog, in a worker: reads the shards, has them indexed, answers queries with counts.
//
// In:   {do: "load", catalogue, engine, text}      URLs of search/catalogue.json, search-engine.js and search-text.js
//       {do: "query", ...}                         what `Catalogue.query` takes
// Out:  {did: "progress", read, shards} · {did: "ready", plugins, shards, milliseconds} · {did: "failed", reason}
//       {did: "query", ..., milliseconds}          what `Catalogue.query` gives
//
// The catalog's signature isn't checked here, because pages aren't trusted; `sealdex` verifies what it installs.

const FORMAT = 1;

async function json(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${new URL(address).pathname} answered ${answer.status}`);
  const document = await answer.json();
  if (document.format !== FORMAT) throw new Error(`${new URL(address).pathname} has a format this page can't read`);
  return document;
}

async function load(addresses) {
  const started = performance.now();
  const [{ Catalogue }, text, { shards }] = await Promise.all([
    import(addresses.engine),
    import(addresses.text),
    json(addresses.catalogue),
  ]);
  const made = new Catalogue(text);
  let read = 0;
  // Each shard is indexed while the others are under way.
  await Promise.all(
    shards.map(async (shard) => {
      const { plugins } = await json(new URL(shard, addresses.catalogue).href);
      made.add(plugins);
      postMessage({ did: "progress", read: ++read, shards: shards.length });
    }),
  );
  made.finish();
  const milliseconds = performance.now() - started;
  postMessage({ did: "ready", plugins: made.rows.length, shards: shards.length, milliseconds });
  return made;
}

let catalogue = null;

onmessage = async ({ data }) => {
  try {
    if (data.do === "load") {
      catalogue = load(data);
      await catalogue;
    } else {
      const loaded = await catalogue;
      const started = performance.now();
      const answer = loaded.query(data);
      postMessage({ did: "query", ...answer, milliseconds: performance.now() - started });
    }
  } catch (error) {
    postMessage({ did: "failed", reason: error.message });
  }
};
