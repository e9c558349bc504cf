// Search over all rows of the catalog, in a worker: reads the shards, has them indexed, answers queries with counts.
//
// In:   {do: "load", shards, engine, text, packed}   URLs of all shards, of search-engine.js, -text.js and -packed.js
//       {do: "query", ...}                         what `Catalogue.query` takes
// Out:  {did: "progress", read, shards} · {did: "ready", plugins, shards, milliseconds} · {did: "failed", reason, lacksMemory}
//       {did: "query", ..., milliseconds}          what `Catalogue.query` gives
//
// The catalog's signature isn't checked here, because pages aren't trusted; `sealdex` verifies what it installs.

const FORMAT = 1;
const AT_ONCE = 6; // shards under way, as many as a browser asks one host for; each is let go when it is indexed

async function take(address, made, free) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${new URL(address).pathname} answered ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const { format } = made.read(bytes);
  free(bytes);
  if (format !== FORMAT) throw new Error(`${new URL(address).pathname} has a format this page can't read`);
}

async function load({ shards, engine, text, packed }) {
  const [{ Catalogue }, texts, pack] = await Promise.all([engine, text, packed].map((each) => import(each)));
  const started = performance.now();
  const made = new Catalogue(texts, pack);
  const waiting = shards.values();
  let read = 0;
  // Each shard is indexed while the others are under way.
  const reader = async () => {
    for (const shard of waiting) {
      await take(shard, made, pack.free);
      postMessage({ did: "progress", read: ++read, shards: shards.length });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
  made.finish();
  postMessage({ did: "ready", plugins: made.count, shards: shards.length, milliseconds: performance.now() - started });
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
    // arrays that the browser can't give: a RangeError in Chromium, no Error at all in Firefox
    const lacksMemory = error instanceof RangeError || !(error instanceof Error);
    postMessage({ did: "failed", reason: error?.message ?? String(error), lacksMemory });
  }
};
