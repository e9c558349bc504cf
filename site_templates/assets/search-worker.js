// Search over all rows of the catalog, in a worker: reads the shards, has them indexed, answers queries with counts.
//
// In:   {do: "load", shards, files, engine, text, packed}   URLs of all shards, of search-files.js, -engine.js, -text.js
//                                                           and -packed.js
//       {do: "query", ...}                         what `Catalogue.query` takes
// Out:  {did: "progress", read, shards} · {did: "ready", plugins, shards, milliseconds}
//       {did: "query", ..., milliseconds}          what `Catalogue.query` gives
//       {did: "failed", kind, values, technical}   what `failure` of search-files.js gives
//
// The catalog's signature isn't checked here, because pages aren't trusted; `sealdex` verifies what it installs.

const AT_ONCE = 6; // shards under way, as many as a browser asks one host for; each is let go when it is indexed

async function take(address, made, reading, free) {
  const bytes = await reading.bytes(address);
  const document = made.read(bytes);
  free(bytes);
  reading.known(document, address);
}

async function load({ shards, files, engine, text, packed }) {
  const imported = (each) =>
    import(each).catch((error) => {
      throw Object.assign(error, { kind: error instanceof SyntaxError ? "old" : "script" });
    });
  reading = await imported(files);
  const [{ Catalogue }, texts, pack] = await Promise.all([engine, text, packed].map(imported));
  const started = performance.now();
  const made = new Catalogue(texts, pack);
  const waiting = shards.values();
  let read = 0;
  // Each shard is indexed while the others are under way.
  const reader = async () => {
    for (const shard of waiting) {
      await take(shard, made, reading, pack.free);
      postMessage({ did: "progress", read: ++read, shards: shards.length });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  made.finish();
  postMessage({ did: "ready", plugins: made.count, shards: shards.length, milliseconds: performance.now() - started });
  return made;
}

let catalogue = null;
let reading = null; // search-files.js

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
    postMessage({ did: "failed", ...(reading?.failure(error) ?? { kind: "script", values: {}, technical: error.message }) });
  }
};
