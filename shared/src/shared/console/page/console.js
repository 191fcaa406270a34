/* The page: a login where there is one, then views that are kept up to date. */

import { ask, byId, element } from "./api.js";
import * as letters from "./letters.js";
import * as stack from "./stack.js";
import * as streams from "./streams.js";

const VIEWS = ["streams", "stack", "letters"];
let dead = -1;

function show() {
  const view = VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "streams";
  for (const name of VIEWS) byId(`view-${name}`).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  scrollTo(0, 0);
  if (view === "stack") stack.look(() => !byId("view-stack").hidden);
}

function tell(text, good) {
  byId("live").textContent = text;
  byId("live").className = good ? "good" : "bad";
}

function stand(standing) {
  streams.stand(standing);
  const count = standing.reduce((sum, stream) => sum + stream.dead_letters, 0);
  byId("count").textContent = String(count);
  byId("count").hidden = count === 0;
  if (count !== dead) {
    dead = count;
    letters.refresh().catch((error) => tell(error.message, false));
  }
}

function follow() {
  const source = new EventSource("api/events");
  source.addEventListener("open", () => {
    streams.clear();
    tell("live", true);
  });
  source.addEventListener("error", () => tell("The service does not answer; trying again.", false));
  source.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    if (message.entry) streams.land(message.entry);
    if (message.status) {
      tell("live", true);
      stand(message.status);
    }
    if (message.notice) tell(message.notice, false);
  });
}

/* The chat of an offline Telegram, where there is one: a frame that opens nothing in our place. */
function chat(origin) {
  byId("chat").append(element("iframe", {
    src: `${origin}/`,
    title: "Chat with the bot",
    sandbox: "allow-scripts allow-same-origin allow-forms allow-modals",
  }));
  const turn = (on) => {
    byId("chat").hidden = !on;
    byId("chat-shown").setAttribute("aria-pressed", String(on));
  };
  byId("chat-shown").hidden = false;
  byId("chat-shown").addEventListener("click", () => turn(byId("chat").hidden));
  turn(true);
}

async function begin() {
  const session = await ask("session");
  byId("service").textContent = session.service;
  document.title = `Console ${session.service}`;
  if (!session.who) {
    byId("login").hidden = false;
    byId("token").focus();
    return;
  }
  byId("logout").hidden = session.open;
  if (session.chat) chat(session.chat);
  addEventListener("hashchange", show);
  show();
  streams.start();
  letters.start();
  follow();
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("login", { token: byId("token").value });
    location.reload();
  } catch (error) {
    byId("refused").textContent = error.message;
  }
});
byId("logout").addEventListener("click", async () => {
  await ask("logout", {});
  location.reload();
});
begin().catch((error) => tell(error.message, false));
