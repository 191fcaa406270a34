/* Streams, their groups, and entries as they land. */

import { follow, journey } from "./journey.js";
import { byId, clock, duration, element, matches } from "./api.js";

const MOST = 200;
let paused = false;
let waiting = [];

export function start() {
  byId("filter").addEventListener("input", sift);
  byId("pause").addEventListener("click", () => {
    paused = !paused;
    byId("pause").setAttribute("aria-pressed", String(paused));
    byId("pause").textContent = paused ? "Go on" : "Pause";
    if (!paused) {
      for (const entry of waiting) add(entry);
      waiting = [];
    }
  });
}

export function clear() {
  byId("entries").replaceChildren();
  waiting = [];
}

export function land(entry) {
  if (!paused) add(entry);
  else {
    waiting = [...waiting, entry].slice(-MOST);
    byId("pause").textContent = `Go on (${waiting.length} new)`;
  }
}

function add(entry) {
  const data = entry.data;
  const text = typeof data === "string"
    ? data
    : Object.entries(data).filter(([key]) => key !== "timestamp").map(([, value]) => words(value)).join("  ");
  const way = journey(entry);
  const details = element("details", {},
    element("summary", {},
      element("time", { datetime: entry.time, text: clock(entry.time) }),
      element("span", { class: "stream", text: entry.stream }),
      element("span", { class: "text", text: text.slice(0, 240) }),
      element("span", { class: "id", text: entry.event_id }),
    ),
    way,
    element("pre", { text: JSON.stringify(entry, null, 2) }),
  );
  details.addEventListener("toggle", () => {
    if (details.open) follow(way, entry, () => details.open && details.isConnected);
  });
  const item = element("li", {}, details);
  const list = byId("entries");
  list.prepend(item);
  while (list.children.length > MOST) list.lastElementChild.remove();
  byId("none").hidden = true;
  sift();
}

const words = (value) => typeof value === "string" ? value : JSON.stringify(value);

function sift() {
  for (const item of byId("entries").children) {
    item.hidden = !matches(item, byId("filter").value);
  }
}

export function stand(streams) {
  byId("standing").replaceChildren(...streams.map(card));
}

function card(stream) {
  const rows = stream.groups.map((group) => element("tr", {},
    element("th", { scope: "row", text: group.group }),
    element("td", { class: group.lag ? "late" : "", text: group.lag === null ? "unknown" : String(group.lag) }),
    element("td", { class: group.lag ? "late" : "", text: group.lag_seconds === null ? "unknown" : duration(group.lag_seconds) }),
    element("td", { text: String(group.pending) }),
    element("td", { text: group.oldest_pending_seconds === null ? "–" : duration(group.oldest_pending_seconds) }),
  ));
  const heads = ["Group", "Lag", "Behind", "Pending", "Oldest"];
  const table = element("table", {},
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col", text })))),
    element("tbody", {}, ...rows),
  );
  const dead = stream.dead_letters;
  return element("article", { class: "card" },
    element("h3", { text: stream.stream }),
    element("div", {},
      element("span", { class: "dim", text: `entries: ${stream.entries} · ` }),
      element("span", { class: dead ? "bad" : "dim", text: `dead letters: ${dead}` }),
    ),
    rows.length ? table : element("p", { class: "dim", text: "No group reads it yet." }),
  );
}
