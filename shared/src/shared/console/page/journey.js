/* The way of one event, looked at again until every group has finished with it. */

import { ask, element } from "./api.js";

const EVERY = 2000;

export function journey(entry) {
  const list = element("ol", { class: "journey", "aria-label": `Journey of ${entry.event_id || entry.id}` });
  return list;
}

export async function follow(list, entry, open) {
  while (open()) {
    let done = true;
    try {
      const answer = await ask(`journey?${new URLSearchParams({ stream: entry.stream, id: entry.id })}`);
      done = answer.done;
      list.replaceChildren(...answer.steps.map((step, index) => show(step, answer.steps.slice(0, index).findLast((it) => it.time))));
      if (answer.trace) list.append(element("li", {}, element("strong", { text: "trace" }), " ", element("span", { class: "dim", text: answer.trace })));
      if (!answer.steps.length) list.replaceChildren(element("li", { text: "The stream does not have it any more." }));
    } catch (error) {
      list.replaceChildren(element("li", { class: "bad", text: error.message }));
    }
    if (done) return;
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
}

function show(step, before) {
  const item = element("li", {}, element("strong", { text: step.what }), " ");
  if (step.time) {
    item.append(element("time", { datetime: step.time, text: exact(step.time) }));
    if (before?.time) item.append(" ", element("span", { class: "dim", text: since(before.time, step.time) }));
  }
  if (step.note) item.append(step.time ? " " : "", element("span", { class: "dim", text: step.note }));
  return item;
}

function exact(iso) {
  const moment = new Date(iso);
  return `${moment.toLocaleTimeString([], { hour12: false })}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
}

function since(from, to) {
  const passed = new Date(to) - new Date(from);
  return passed < 1000 ? `+${passed} ms` : `+${(passed / 1000).toFixed(1)} s`;
}
