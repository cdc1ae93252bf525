// Embeds and pictures.

import { address, el, icon } from "./dom.js";
import { markdown } from "./markdown.js";

export function embed(wire, view) {
  const colour = Number.isInteger(wire.color) ? `#${wire.color.toString(16).padStart(6, "0")}` : undefined;
  return el(
    "section",
    {
      class: "embed",
      "aria-label": wire.title ? `Embed: ${wire.title}` : "Embed",
      vars: colour ? { "--bar": colour } : {},
    },
    el(
      "div",
      { class: "embed-text" },
      wire.author &&
        el("div", { class: "embed-author" }, small(wire.author.icon_url), linked(wire.author.name, wire.author.url)),
      wire.title &&
        el("div", { class: "embed-title" }, wire.url ? linked(wire.title, wire.url) : markdown(wire.title, view)),
      wire.description && el("div", { class: "embed-description" }, markdown(wire.description, view)),
      wire.fields?.length ? fields(wire.fields, view) : null,
    ),
    wire.thumbnail && el("div", { class: "embed-thumbnail" }, picture(wire.thumbnail, view, "Thumbnail")),
    wire.image && el("div", { class: "embed-image" }, picture(wire.image, view, wire.title ?? "Picture")),
    footer(wire, view),
  );
}

function small(url) {
  const src = url && address(url);
  return src ? el("img", { class: "embed-icon", src, alt: "" }) : null;
}

function linked(text, url) {
  const href = url && address(url);
  return href ? el("a", { href, target: "_blank", rel: "noopener noreferrer" }, text) : el("span", {}, text);
}

/** Inline fields share a row, three at most. */
function fields(wires, view) {
  const rows = [];
  for (const field of wires) {
    const last = rows.at(-1);
    if (field.inline && last?.[0].inline && last.length < 3) last.push(field);
    else rows.push([field]);
  }
  const cells = rows.flatMap((row) =>
    row.map((field) =>
      el(
        "div",
        { class: `embed-field of-${row.length}` },
        el("div", { class: "embed-field-name" }, markdown(field.name, view)),
        el("div", { class: "embed-field-value" }, markdown(field.value, view)),
      ),
    ),
  );
  return el("div", { class: "embed-fields" }, cells);
}

function footer(wire, view) {
  if (!wire.footer && !wire.timestamp) return null;
  const moment = Date.parse(wire.timestamp);
  const when = Number.isNaN(moment)
    ? null
    : el("time", { datetime: wire.timestamp, title: view.clock.format(moment, "F") }, view.clock.written(moment));
  const gap = wire.footer && when ? el("span", { "aria-hidden": "true" }, " • ") : null;
  return el("div", { class: "embed-footer" }, small(wire.footer?.icon_url), wire.footer?.text, gap, when);
}

const WIDEST = 550;
const HIGHEST = 460;

/** A picture that opens large when pressed; its size is known beforehand so that nothing jumps. */
export function picture({ url, width, height, description }, view, fallback) {
  const src = url && address(url);
  if (!src) return null;
  const alt = description || fallback;
  const shown =
    width && height ? { "--shown": `${Math.round(Math.min(width, WIDEST, (HIGHEST * width) / height))}px` } : {};
  const img = el("img", { src, alt, width: width || undefined, height: height || undefined, vars: shown });
  return el(
    "button",
    { class: "picture", type: "button", "aria-label": `Enlarge: ${alt}`, onclick: () => view.enlarge(src, alt) },
    img,
  );
}

export function attachment(wire, view) {
  if (wire.content_type?.startsWith("image/") || (wire.width && wire.height)) return picture(wire, view, wire.filename);
  const href = address(wire.url);
  const size = wire.size < 1024 ? `${wire.size} B` : `${(wire.size / 1024).toFixed(1)} KB`;
  return el(
    "div",
    { class: "file" },
    icon("file"),
    el("div", {}, el("a", { href, download: wire.filename }, wire.filename), el("div", { class: "faint" }, size)),
  );
}
