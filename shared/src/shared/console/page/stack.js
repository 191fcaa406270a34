/* How every part of the stack is: the picture with marks, and the same as a table; live while shown. */

import { MARKS, draw } from "./picture.js";
import { ask, byId, element } from "./api.js";

const EVERY = 2000;
let marked = null;
let looking = false;

/* Looks again and again while the view is there to be seen. */
export async function look(shown) {
  if (looking) return;
  looking = true;
  while (shown()) {
    try {
      const { picture, parts } = await ask("stack");
      show(picture, parts);
    } catch (error) {
      tell(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
  looking = false;
}

function show(picture, parts) {
  if (!marked && picture) {
    const drawn = draw(picture);
    marked = drawn.marked;
    byId("picture").replaceChildren(drawn.drawing);
    byId("picture").hidden = false;
  }
  for (const part of parts) mark(part);
  byId("parts").replaceChildren(...parts.flatMap(rows));
  const wrong = parts.filter((part) => part.state === "bad").map((part) => `${part.name} ${worst(part).note}`);
  if (!parts.length) tell("This service was built without a picture: make sync-services renders it.");
  else tell(wrong.length ? `Not as it should be: ${wrong.join(", ")}.` : "All that is asked works.");
}

/* Said once: a screen reader reads it out whenever it changes. */
function tell(text) {
  if (byId("health").textContent !== text) byId("health").textContent = text;
}

const worst = (part) => part.instances.find((it) => it.state === part.state);

function mark(part) {
  const places = marked?.get(part.name);
  if (!places) return;
  const { version, role } = part.instances[0];
  places.group.setAttribute("class", `part ${part.state}`);
  places.mark.textContent = MARKS[part.state];
  places.role.textContent = [version, role].filter(Boolean).join(" · ");
}

function rows(part) {
  return part.instances.map((it) => element("tr", {},
    element("th", { scope: "row" }, part.name, element("span", { class: "dim", text: it.address })),
    element("td", { class: it.state, text: `${MARKS[it.state]} ${it.note}` }),
    element("td", { text: it.version || "–" }),
    element("td", { text: it.role || "–" }),
  ));
}
