/* Dead letters: looked at, replayed, dropped; each decision is confirmed, and shown afterwards. */

import { ask, byId, clock, duration, element, matches } from "./api.js";

const MEANING = {
  replay: "Each event goes back into its stream under its own id, and groups are given it again.",
  drop: "They are gone for good. Their ids stay refused: the events cannot be published again.",
};
const chosen = new Set();

export function start() {
  byId("sift").addEventListener("input", sift);
  byId("all").addEventListener("click", () => {
    const boxes = visible().map((item) => item.querySelector("input"));
    const on = boxes.some((box) => !box.checked);
    for (const box of boxes) choose(box, on);
  });
  for (const verb of ["replay", "drop"]) byId(verb).addEventListener("click", () => decide(verb));
}

export async function refresh() {
  const [{ letters, most }, { audit }] = await Promise.all([ask("letters"), ask("audit")]);
  const keys = new Set(letters.map(keyOf));
  for (const key of chosen) if (!keys.has(key)) chosen.delete(key);
  const open = new Set([...byId("graves").querySelectorAll("details[open]")].map((it) => it.closest("li").dataset.key));
  byId("graves").replaceChildren(...letters.map((letter) => grave(letter, open.has(keyOf(letter)))));
  byId("no-letters").hidden = letters.length > 0;
  byId("audit").replaceChildren(...audit.map(decision));
  byId("no-audit").hidden = audit.length > 0;
  if (letters.length >= most) byId("outcome").textContent = `The oldest ${most} of each stream are shown.`;
  sift();
}

const keyOf = (letter) => `${letter.stream} ${letter.id}`;
const visible = () => [...byId("graves").children].filter((item) => !item.hidden);

function grave(letter, open) {
  const key = keyOf(letter);
  const who = letter.group ? `group ${letter.group}, deliveries: ${letter.deliveries}` : "refused when published";
  const box = element("input", { type: "checkbox", "aria-label": `Select ${letter.event_id || letter.id}` });
  box.checked = chosen.has(key);
  box.addEventListener("change", () => choose(box, box.checked));
  return element("li", { "data-key": key },
    box,
    element("details", { open },
      element("summary", {},
        element("time", { text: `${duration(letter.age_seconds)} ago` }),
        element("span", { class: "stream", text: letter.stream }),
        element("span", { class: "text bad", text: letter.reason }),
        element("span", { class: "id", text: [letter.event_id, who].filter(Boolean).join(" · ") }),
      ),
      element("pre", { text: payload(letter) }),
    ),
  );
}

function payload(letter) {
  try {
    return JSON.stringify(JSON.parse(letter.payload), null, 2);
  } catch {
    return letter.payload;
  }
}

function choose(box, on) {
  box.checked = on;
  const key = box.closest("li").dataset.key;
  if (on) chosen.add(key);
  else chosen.delete(key);
  label();
}

function label() {
  for (const [verb, word] of [["replay", "Replay"], ["drop", "Drop"]]) {
    byId(verb).disabled = chosen.size === 0;
    byId(verb).textContent = chosen.size ? `${word} ${chosen.size}` : word;
  }
}

/* What is filtered out is not chosen any more: what one decides on is what one sees. */
function sift() {
  for (const item of byId("graves").children) {
    item.hidden = !matches(item, byId("sift").value);
    const box = item.querySelector("input");
    if (item.hidden && box.checked) choose(box, false);
  }
  label();
}

function decision(line) {
  const what = line.replayed ? `is entry ${line.replayed}` : line.not_replayed ?? (line.dropped ? "" : "it was gone");
  return element("li", {}, element("div", {},
    element("time", { datetime: line.time, text: clock(line.time) }), " ",
    element("strong", { text: line.verb }), " ",
    element("span", { class: "stream", text: `${line.stream} ${line.event_id ?? line.id}` }), " ",
    element("span", { text: what }), " ",
    element("span", { class: "dim", text: `by ${line.who}` }),
  ));
}

async function decide(verb) {
  const count = chosen.size;
  if (!await confirmed(verb, count)) return;
  const streams = Map.groupBy(chosen, (key) => key.split(" ")[0]);
  const outcomes = [];
  try {
    for (const [stream, keys] of streams) {
      const ids = keys.map((key) => key.split(" ")[1]);
      outcomes.push(...(await ask("letters", { verb, stream, ids })).outcomes);
    }
    const done = outcomes.filter((it) => it.replayed || it.dropped).length;
    const kept = outcomes.find((it) => it.not_replayed);
    byId("outcome").textContent = `${verb === "replay" ? "Replayed" : "Dropped"} ${done} of ${count}.`
      + (kept ? ` Not replayed: ${kept.not_replayed}.` : "");
  } catch (error) {
    byId("outcome").textContent = error.message;
  }
  chosen.clear();
  await refresh();
}

function confirmed(verb, count) {
  const dialog = byId("confirm");
  byId("question").textContent = `${verb === "replay" ? "Replay" : "Drop"} ${count} dead letter${count === 1 ? "" : "s"}?`;
  byId("meaning").textContent = MEANING[verb];
  byId("yes").textContent = verb === "replay" ? "Replay" : "Drop";
  byId("yes").className = verb === "drop" ? "danger" : "";
  return new Promise((resolve) => {
    byId("yes").onclick = () => dialog.close("yes");
    byId("no").onclick = () => dialog.close("");
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.returnValue = "";
    dialog.showModal();
    byId("no").focus();
  });
}
