/* The picture of the stack as it was laid out of services.yml; each part has a mark of its health. */

const SVG = "http://www.w3.org/2000/svg";
const STYLES = ["publishes", "subscribes", "stands_in", "uses"];
export const MARKS = { good: "✓", bad: "✗", away: "–", unknown: "?" };

function shape(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

const words = (x, y, kind, text, more = {}) => shape("text", { x, y, class: kind, ...more }, text);

/* Returns the picture, and by name of a part what changes with its health. */
export function draw(picture) {
  const marked = new Map();
  const drawing = shape("svg", {
    viewBox: `0 0 ${picture.width} ${picture.height}`,
    role: "img",
    "aria-label": "The stack as services.yml declares it; the table says the same",
  });
  drawing.append(heads(), ...(picture.streams ? [part(picture.streams, picture.streams.width, marked)] : []));
  for (const arrow of picture.arrows) {
    const ends = { "marker-end": `url(#${arrow.style})`, ...(arrow.both && { "marker-start": "url(#publishes)" }) };
    drawing.append(shape("path", { class: `arrow ${arrow.style}`, d: arrow.path, ...ends }));
  }
  for (const pill of picture.streams?.pills ?? []) {
    drawing.append(
      shape("rect", { class: "pill", x: pill.x, y: pill.y, width: picture.pill_width, height: picture.pill_height, rx: 19 }),
      words(pill.x + picture.pill_width / 2, pill.y + 24, "stream", pill.name, { "text-anchor": "middle" }),
    );
  }
  for (const box of picture.boxes) drawing.append(part(box, picture.box_width, marked));
  drawing.append(legend(picture));
  return { drawing, marked };
}

function part(box, width, marked) {
  const mark = words(box.x + width - 14, box.y + 22, "mark", "", { "text-anchor": "end" });
  const role = words(box.x + width - 14, box.y + 40, "kind", "", { "text-anchor": "end" });
  const lines = (box.lines ?? []).map((line, index) => words(box.x + 14, box.y + 62 + index * 19, "small", line));
  const group = shape("g", { class: "part" },
    shape("rect", { class: box.style === "stand_in" ? "box dashed" : "box", x: box.x, y: box.y, width, height: box.height, rx: 10 }),
    words(box.x + 14, box.y + 22, "name", box.name), mark,
    words(box.x + 14, box.y + 40, "kind", box.kind), role, ...lines,
  );
  marked.set(box.name, { group, mark, role });
  return group;
}

function heads() {
  return shape("defs", {}, ...STYLES.map((style) => shape("marker", {
    id: style, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse",
  }, shape("path", { class: `head ${style}`, d: "M 0 1 L 9.5 5 L 0 9 z" }))));
}

function legend(picture) {
  const group = shape("g", { transform: `translate(32 ${picture.height - 30})` });
  for (const { style, meaning, x } of picture.legend) {
    group.append(
      shape("path", { class: `arrow ${style}`, d: `M ${x} 0 h 34`, "marker-end": `url(#${style})` }),
      words(x + 42, 4, "small", meaning),
    );
  }
  return group;
}
