// How one conversation is drawn. Text from chats only ever becomes text, never markup.

const TAGS = {
  bold: "b", italic: "i", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

const BLOCKS = new Set(["pre", "blockquote", "expandable_blockquote"]);

export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function title(chat) {
  return chat.title ?? [chat.first_name, chat.last_name].filter(Boolean).join(" ");
}

export function avatar(chat, into) {
  const words = title(chat).match(/[\p{L}\p{N}]+/gu) ?? ["?"];
  const letters = words.slice(0, 2).map((word) => [...word][0]).join("");
  into.textContent = letters.toUpperCase();
  into.className = `avatar hue${Math.abs(chat.id) % 7}`;
  return into;
}

// What stands for a message where there is one line for it.
export function summary(message) {
  if (!message.photo) return message.text ?? "";
  return message.caption ? `Photo: ${message.caption}` : "Photo";
}

export function clock(date) {
  return new Date(date * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

// The time of day for today, the day for earlier.
export function moment(date) {
  const then = new Date(date * 1000);
  if (then.toDateString() === new Date().toDateString()) return clock(date);
  return then.toLocaleDateString([], { day: "numeric", month: "short" });
}

export function day(date) {
  return new Date(date * 1000).toLocaleDateString([], {
    day: "numeric", month: "long", year: "numeric",
  });
}

// Offsets are UTF-16 code units, which is what JavaScript's strings count in.
function formatted(text, entities, from, to, act) {
  const parts = [];
  let at = from;
  const inside = entities.filter((e) => e.offset >= from && e.offset + e.length <= to);
  for (const [place, entity] of inside.entries()) {
    if (entity.offset < at) continue;
    const end = entity.offset + entity.length;
    parts.push(text.slice(at, entity.offset));
    const inner = formatted(text, inside.slice(place + 1), entity.offset, end, act);
    parts.push(entityElement(entity, text.slice(entity.offset, end), inner, act));
    // A block begins a new line by itself.
    at = BLOCKS.has(entity.type) && text[end] === "\n" ? end + 1 : end;
  }
  parts.push(text.slice(Math.min(at, to), to));
  return parts;
}

function entityElement(entity, plain, inner, act) {
  if (entity.type === "bot_command") {
    return element("button", { class: "command", type: "button", onclick: () => act.write(plain) }, plain);
  }
  if (entity.type === "spoiler") return element("span", { class: "spoiler" }, ...inner);
  const target = { url: plain, text_link: entity.url, email: `mailto:${plain}` }[entity.type];
  if (target !== undefined) {
    const href = /^[a-z]+:/i.test(target) ? target : `https://${target}`;
    const safe = /^(https?|mailto|tg|ftp):/i.test(href);
    const link = { rel: "noreferrer noopener", target: "_blank" };
    return element(safe ? "a" : "span", safe ? { ...link, href } : {}, ...inner);
  }
  return element(TAGS[entity.type] ?? "span", {}, ...inner);
}

function inlineKeyboard(message, act) {
  const rows = message.reply_markup?.inline_keyboard;
  if (!rows) return [];
  const drawn = rows.map((row) => element("div", {}, ...row.map((button) => {
    if (button.url) {
      return element("a", { href: button.url, target: "_blank", rel: "noreferrer noopener" }, button.text);
    }
    const press = () => act.press(message, button.callback_data ?? button.text);
    return element("button", { type: "button", onclick: press }, button.text);
  })));
  return [element("div", { class: "inline" }, ...drawn)];
}

function bubble(message, shown, group, act) {
  const parts = [];
  if (group && !shown.from_bot) {
    parts.push(element("span", { class: "who" }, title(message.from ?? message.sender_chat)));
  }
  const answered = message.reply_to_message;
  if (answered) parts.push(element("span", { class: "quoted" }, summary(answered)));
  if (message.photo) {
    const photo = message.photo.at(-1);
    parts.push(element("img", {
      src: `/sim/files/${photo.file_id}`, width: photo.width, height: photo.height,
      alt: message.caption ?? "Photo", class: message.has_media_spoiler ? "spoiler" : "",
    }));
  }
  const text = message.text ?? message.caption ?? "";
  const entities = message.entities ?? message.caption_entities ?? [];
  parts.push(...formatted(text, entities, 0, text.length, act));
  const when = `${message.edit_date ? "edited " : ""}${clock(message.date)}`;
  parts.push(element("span", { class: "when" }, when));
  return element("div", { class: "bubble", dir: "auto" }, ...parts);
}

// Draws all messages of a chat. A message is `mine` where a person wrote it.
export function conversation(messages, group, act) {
  const drawn = [];
  let previousDay = null;
  const author = (shown) => shown && (shown.from_bot ? "bot" : shown.message.from?.id);
  for (const [place, shown] of messages.entries()) {
    const { message } = shown;
    const today = day(message.date);
    if (today !== previousDay) drawn.push(element("div", { class: "day" }, today));
    const first = today !== previousDay || author(messages[place - 1]) !== author(shown);
    const last = author(messages[place + 1]) !== author(shown);
    previousDay = today;
    const kinds = [
      "message", shown.from_bot ? "theirs" : "mine", first ? "first" : "", last ? "last" : "",
    ];
    drawn.push(element(
      "div", { class: kinds.filter(Boolean).join(" ") },
      bubble(message, shown, group, act), ...inlineKeyboard(message, act),
    ));
  }
  return drawn;
}
