// A consumer group over several symbols: node consume.mjs GROUP CONSUMER spot:BTCUSDT perp:ETHUSDT
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterConnection } from "./redis.mjs";

const addresses = process.env.S1_REDIS_ADDRESSES.split(",");
const idleMs = Number(process.env.IDLE_MS ?? 60_000); // a consumer without an ack this long is dead
const states = new Map(); // "venue:symbol" -> state
const shared = new Map(); // "venue:connection" -> what all its symbols have
const gaps = new Map(); // "venue:since:cause" -> ts
const [group, consumer, ...names] = process.argv.slice(2);

const asObject = (list) =>
  Object.fromEntries(list.flatMap((each, at) => (at % 2 ? [] : [[each, list[at + 1]]])));

function recordStatus(venue, { ts, symbol, state, since, cause }) {
  if (state === "GAP") gaps.set(`${venue}:${since}:${cause}`, Number(ts));
  else if (state === "RESUMED") gaps.delete(`${venue}:${since}:${cause}`);
  else if (symbol === "*") shared.set(`${venue}:${cause.split(" ")[0]}`, state);
  else states.set(`${venue}:${symbol}`, state);
}

/** GAP: nothing later than the quote was received from a lost connection of the venue. */
function stateOf(name, fields) {
  const ofVenue = ([key]) => key.startsWith(`${name.split(":")[0]}:`);
  if ([...gaps].filter(ofVenue).some(([, ts]) => Number(fields.ts) <= ts)) return "GAP";
  const worse = [...shared].filter(ofVenue).find(([, state]) => state !== "LIVE");
  return worse ? worse[1] : (states.get(name) ?? "UNKNOWN");
}

function handle(name, fields) {
  const state = stateOf(name, fields); // trade on LIVE and QUIET only
  console.log(fields.symbol, fields.bid1, fields.ask1, state);
}

/** One stream. Two streams are in two slots, and one command for both is a CROSSSLOT error. */
class Reader {
  contents = new Map(); // src -> last content

  constructor(name) {
    this.name = name;
    this.stream = `mkt:events:${name}`;
    this.redis = new ClusterConnection(addresses, this.stream);
  }

  async read() {
    await this.redis.send("XGROUP", "CREATE", this.stream, group, "$", "MKSTREAM").catch((error) => {
      if (!error.message.startsWith("BUSYGROUP")) throw error; // it exists
    });
    await this.take(await this.readGroup("0")); // ours, from before a crash
    for (;;) {
      await this.lookForTrimmed();
      await this.claim();
      await this.take(await this.readGroup(">"));
    }
  }

  /** Where the last delivered entry is gone, later ones may be gone too. */
  async lookForTrimmed() {
    const groups = (await this.redis.send("XINFO", "GROUPS", this.stream)).map(asObject);
    const last = groups.find((each) => each.name === group)["last-delivered-id"];
    const found = await this.redis.send("XRANGE", this.stream, last, last);
    if (last !== "0-0" && !found.length) console.error(this.stream, "may have lost entries after", last);
  }

  async readGroup(after) {
    const options = ["COUNT", 100, "BLOCK", 1000, "STREAMS", this.stream, after];
    const found = await this.redis.send("XREADGROUP", "GROUP", group, consumer, ...options);
    return found ? found[0][1] : [];
  }

  /** Take over what a dead consumer has read and not acknowledged. */
  async claim() {
    for (let start = "0-0", first = true; first || start !== "0-0"; first = false) {
      const options = [this.stream, group, consumer, idleMs, start, "COUNT", 100];
      const [next, entries, lost = []] = await this.redis.send("XAUTOCLAIM", ...options);
      if (lost.length) console.error(this.stream, "lost, trimmed before the ack:", ...lost);
      await this.take(entries);
      start = next;
    }
  }

  async take(entries) {
    for (const [id, list] of entries) {
      const fields = list && asObject(list); // null: trimmed
      if (fields && this.isNewQuote(fields)) handle(this.name, fields);
      await this.redis.send("XACK", this.stream, group, id);
    }
  }

  isNewQuote(fields) {
    if (!fields.src.startsWith("binance.")) return false; // replay.*: recorded data
    const content = JSON.stringify(fields);
    const repeated = this.contents.get(fields.src) === content; // the same update, another id
    this.contents.set(fields.src, content);
    return !repeated;
  }
}

/** Every consumer needs every entry, so there is no group. */
class StatusReader {
  constructor(venue) {
    this.venue = venue;
    this.stream = `mkt:status:${venue}`;
    this.redis = new ClusterConnection(addresses, this.stream);
  }

  async read() {
    if (!this.last) {
      const history = await this.redis.send("XREVRANGE", this.stream, "+", "-", "COUNT", 10_000);
      this.take(history.reverse());
      this.last ??= "0-0";
    }
    for (;;) {
      const found = await this.redis.send("XREAD", "BLOCK", 1000, "STREAMS", this.stream, this.last);
      if (found) this.take(found[0][1]);
    }
  }

  take(entries) {
    for (const [id, list] of entries) {
      recordStatus(this.venue, asObject(list));
      this.last = id;
    }
  }
}

async function forever(reader) {
  for (;;) {
    try {
      await reader.read();
    } catch (error) {
      console.error(reader.stream, "cannot be read:", error.message); // a node is down, or restarts
      reader.redis.close();
      await sleep(500);
    }
  }
}

const venues = new Set(names.map((name) => name.split(":")[0]));
const readers = [...[...venues].map((each) => new StatusReader(each)), ...names.map((each) => new Reader(each))];
await Promise.all(readers.map(forever));
