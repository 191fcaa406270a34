// The chat page: it asks the control API, and hears of changes through server-sent events.

import { avatar, conversation, element, moment, summary, title } from "/chat.js";

const at = (id) => document.getElementById(id);
const state = { bot: null, bots: [], chats: new Map(), open: null, messages: [], typing: null };

async function ask(method, path, fields = {}) {
  const known = state.bot === null ? fields : { bot: state.bot, ...fields };
  const options = { method };
  let url = path;
  if (method === "GET") url += `?${new URLSearchParams(known)}`;
  else {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(known);
  }
  const answer = await (await fetch(url, options)).json();
  if (!answer.ok) throw new Error(answer.error);
  return answer.result;
}

let toastEnds;
function toast(text) {
  at("toast").textContent = text;
  at("toast").hidden = false;
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => { at("toast").hidden = true; }, 5000);
}

const chosenBot = () => state.bots.find((bot) => bot.id === state.bot);

const attempt = (action) => async (...given) => {
  try { return await action(...given); } catch (problem) { toast(problem.message); }
};

// Drawing

function drawChats() {
  const newest = [...state.chats.values()].sort((older, newer) => (newer.last?.message.date ?? 0)
    - (older.last?.message.date ?? 0) || newer.order - older.order);
  at("list").replaceChildren(...newest.map((chat) => {
    const last = chat.last?.message;
    const who = chat.last?.from_bot ? "Bot: " : "";
    return element("li", {}, element(
      "button",
      { type: "button", onclick: () => openChat(chat.about.id), "aria-current": chat.about.id === state.open },
      avatar(chat.about, element("span", { "aria-hidden": "true" })),
      element("span", { class: "name", dir: "auto" }, title(chat.about)),
      element("time", {}, last ? moment(last.date) : ""),
      element("span", { class: "last", dir: "auto" }, last ? `${who}${summary(last)}` : "No messages yet"),
    ));
  }));
  document.body.classList.toggle("empty", newest.length === 0);
  drawNothing();
}

function drawNothing() {
  const [head, text] = state.bots.length === 0
    ? ["No bot has called yet", `Start yours with this address as its Bot API server:\n${location.origin}`]
    : state.chats.size === 0
      ? ["Nobody has written yet", "Create a user with the plus button, and say hello to the bot."]
      : ["Choose a chat", "Write as any of the users on the left."];
  at("nothing-title").textContent = head;
  at("nothing-text").textContent = text;
}

function drawConversation() {
  const chat = state.chats.get(state.open);
  document.body.classList.toggle("open", chat !== undefined);
  if (!chat) return;
  const group = chat.about.type !== "private";
  avatar(chat.about, at("avatar"));
  at("title").textContent = title(chat.about);
  drawSubtitle();
  const list = at("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 120;
  list.replaceChildren(...conversation(state.messages, group, { write: attempt(write), press: attempt(press) }));
  drawKeyboard();
  if (atEnd) list.scrollTop = list.scrollHeight; // after the keyboard, which takes room
}

function drawSubtitle() {
  const chat = state.chats.get(state.open);
  if (!chat) return;
  const name = chat.about.username ? `@${chat.about.username} · ` : "";
  const kind = chat.about.type === "private" ? `${name}user ${chat.about.id}` : `${name}${chat.about.type} ${chat.about.id}`;
  const reads = chat.about.type.endsWith("group") && chosenBot()?.privacy ? " · bot hears commands, mentions, answers" : "";
  at("subtitle").textContent = state.typing ? `bot is ${state.typing}…` : `${kind}${reads}`;
}

function drawKeyboard() {
  const latest = state.messages.findLast((shown) => shown.keyboard);
  const rows = latest?.keyboard.keyboard ?? [];
  at("keyboard").hidden = rows.length === 0;
  at("keyboard").replaceChildren(...rows.map((row) => element("div", {}, ...row.map((button) =>
    element("button", { type: "button", onclick: () => attempt(write)(button.text) }, button.text)))));
}

function drawCommands() {
  const text = at("text").value;
  const all = chosenBot()?.commands ?? [];
  const fitting = /^\/\w*$/.test(text)
    ? all.filter((command) => `/${command.command}`.startsWith(text)) : [];
  at("commands").hidden = fitting.length === 0;
  at("commands").replaceChildren(...fitting.map((command) => element(
    "button", { type: "button", onclick: () => attempt(write)(`/${command.command}`) },
    element("b", {}, `/${command.command}`), element("span", {}, command.description),
  )));
}

function drawState() {
  const bot = chosenBot();
  if (!bot) { at("state").replaceChildren("waiting for a bot"); return; }
  const count = (value, name, kind = "") => element("span", { class: kind }, element("b", {}, `${value}`), ` ${name}`);
  const age = bot.last_poll_age;
  const poll = bot.webhook ? "webhook" : bot.polls_in_flight ? "polling now"
    : age === null ? "never polled" : `polled ${Math.round(age)} s ago`;
  const parts = [count(bot.pending, "pending"), count(bot.sent, "sent"), element("span", {}, poll)];
  if (bot.overlap_count) parts.push(count(bot.overlap_count, "double polling", "warn"));
  const missing = Object.keys(bot.not_simulated);
  if (missing.length) parts.push(element("span", { class: "warn" }, `not simulated: ${missing.join(", ")}`));
  at("state").replaceChildren(...parts);
}

function drawBots() {
  at("bots").hidden = state.bots.length < 2;
  at("bots").replaceChildren(...state.bots.map((bot) => element("option", { value: bot.id }, bot.username)));
  if (state.bot !== null) at("bots").value = state.bot;
  at("new").disabled = state.bot === null; // somebody has to be there to talk to
}

async function drawSenders() {
  const chat = state.chats.get(state.open);
  const group = chat && chat.about.type !== "private";
  at("sender").hidden = !group;
  if (!group) return;
  const users = await ask("GET", "/sim/users");
  const before = at("sender").value;
  at("sender").replaceChildren(...users.map((user) => element("option", { value: user.id }, title(user))));
  const lastWriter = state.messages.findLast((shown) => !shown.from_bot)?.message.from?.id;
  const wanted = users.find((user) => `${user.id}` === before) ?? { id: lastWriter };
  if (wanted.id) at("sender").value = wanted.id;
}

// Doing

async function openChat(id) {
  state.open = id;
  state.typing = null;
  history.replaceState(null, "", id === null ? "/" : `/#${id}`);
  state.messages = id === null ? [] : await ask("GET", "/sim/messages", { chat: id, limit: 500 });
  drawChats();
  drawConversation();
  if (id === null) return;
  at("messages").scrollTop = at("messages").scrollHeight;
  grow();
  await drawSenders();
  if (matchMedia("(width > 720px)").matches) at("text").focus();
}

async function write(text) {
  const { about } = state.chats.get(state.open);
  const inPrivate = about.type === "private";
  const user = inPrivate ? about.id : Number(at("sender").value);
  if (!user) throw new Error("Create a user first: somebody has to write in this group.");
  await ask("POST", "/sim/write", { text, user, ...(inPrivate ? {} : { chat: about.id }) });
}

async function press(message, button) {
  const inPrivate = message.chat.type === "private";
  const user = inPrivate ? message.chat.id : Number(at("sender").value);
  await ask("POST", "/sim/press", { chat: message.chat.id, message_id: message.message_id, button, user });
}

async function submit(event) {
  event.preventDefault();
  const text = at("text").value;
  if (!text.trim()) return;
  await write(text);
  at("text").value = "";
  grow();
}

function grow() {
  const text = at("text");
  text.style.height = "auto";
  if (text.scrollHeight) text.style.height = `${text.scrollHeight}px`; // 0 while it is not shown
  at("send").disabled = !text.value.trim();
  drawCommands();
}

async function create(event) {
  event.preventDefault();
  const name = at("name").value.trim();
  if (!name) return;
  const kind = new FormData(at("create")).get("kind");
  const made = await ask("POST", "/sim/chats", { kind, name });
  at("dialog").close();
  await loadChats();
  await openChat(made.id);
}

// Hearing

function hear(event) {
  if (event.type === "reload") { refresh(); return; }
  if (event.type === "answered") {
    if (event.bot === state.bot && event.press.text) toast(event.press.text);
    return;
  }
  if (event.bot !== state.bot) return;
  if (event.type === "not_simulated") {
    toast(`The bot called ${event.method}, which this simulator does not have.`);
    attempt(loadState)();
    return;
  }
  const { id } = event.chat;
  const chat = state.chats.get(id) ?? { about: event.chat, order: state.chats.size };
  chat.about = event.chat;
  state.chats.set(id, chat);
  if (event.type === "action") { showTyping(id, event.action); return; }
  if (event.type === "message") chat.last = { message: event.message, ...event.extra };
  if (id === state.open) hearOfMessage(event);
  drawChats();
}

function hearOfMessage(event) {
  const number = event.message_id ?? event.message.message_id;
  const place = state.messages.findIndex((shown) => shown.message.message_id === number);
  if (event.type === "deleted") state.messages = state.messages.filter((_, index) => index !== place);
  else {
    const shown = { message: event.message, ...event.extra };
    if (place >= 0) state.messages[place] = shown;
    else state.messages.push(shown);
    if (shown.from_bot) state.typing = null;
  }
  drawConversation();
}

let typingEnds;
function showTyping(id, action) {
  if (id !== state.open) return;
  state.typing = action === "cancel" ? null : action.replaceAll("_", " ");
  drawSubtitle();
  clearTimeout(typingEnds);
  typingEnds = setTimeout(() => { state.typing = null; drawSubtitle(); }, 5000);
}

async function loadState() {
  const { bots } = await (await fetch("/sim/overview")).json().then((answer) => answer.result);
  const known = state.bots.map((bot) => bot.id).join();
  state.bots = bots;
  if (!bots.some((bot) => bot.id === state.bot)) state.bot = bots[0]?.id ?? null;
  drawState();
  if (known !== bots.map((bot) => bot.id).join()) { drawBots(); await loadChats(); }
}

async function loadChats() {
  state.chats.clear();
  if (state.bot !== null) {
    for (const [order, entry] of (await ask("GET", "/sim/chats")).entries()) {
      state.chats.set(entry.chat.id, { about: entry.chat, last: entry.last, order });
    }
  }
  drawChats();
}

async function refresh() {
  await loadState();
  await loadChats();
  if (state.chats.has(state.open)) await openChat(state.open);
}

function watch() {
  const source = new EventSource("/sim/events");
  let lost = false;
  source.onmessage = (message) => hear(JSON.parse(message.data));
  source.onerror = () => { lost = true; at("state").replaceChildren("the simulator is away"); };
  source.onopen = () => { if (lost) attempt(refresh)(); lost = false; };
}

at("compose").addEventListener("submit", attempt(submit));
at("create").addEventListener("submit", attempt(create));
at("text").addEventListener("input", grow);
at("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("compose").requestSubmit();
});
at("back").addEventListener("click", attempt(() => openChat(null)));
at("cancel").addEventListener("click", () => at("dialog").close());
at("new").addEventListener("click", () => { at("create").reset(); explain(); at("dialog").showModal(); at("name").focus(); });
at("bots").addEventListener("change", attempt(async () => {
  state.bot = Number(at("bots").value);
  await openChat(null);
  await refresh();
}));

function explain() {
  const group = new FormData(at("create")).get("kind") === "group";
  at("name").placeholder = group ? "Engine room" : "Ada";
  at("hint").textContent = group
    ? "Every user can write in it; with privacy mode the bot hears what is meant for it."
    : "A person with a private chat with the bot.";
}
at("create").addEventListener("change", explain);

watch();
grow();
drawBots();
await attempt(refresh)();
const wanted = Number(location.hash.slice(1));
if (state.chats.has(wanted)) await attempt(openChat)(wanted);
setInterval(() => loadState().catch(() => {}), 2000);
