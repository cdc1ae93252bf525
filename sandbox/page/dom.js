// Building DOM nodes. Text only ever becomes text nodes, so nothing that people or the bot write is read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: class, data, vars (CSS custom properties), on… listeners, anything else an attribute. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "data") Object.assign(node.dataset, value);
    else if (name === "vars") for (const [key, to] of Object.entries(value)) node.style.setProperty(key, to);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

const SHAPES = {
  pulse: "M2 13h5l3-8 4 15 3-10 2 3h3",
  hash: "M9 4 7 20M17 4l-2 16M4.5 9h16M3.5 15h16",
  at: "M16 8v5a2.5 2.5 0 0 0 5 0v-1a9 9 0 1 0-4 7.5M16 12a4 4 0 1 1-8 0 4 4 0 0 1 8 0Z",
  menu: "M4 6h16M4 12h16M4 18h16",
  world: "M3 17l5-6 4 4 5-8 4 5M3 21h18",
  close: "M6 6l12 12M18 6 6 18",
  send: "M4 12 20 4l-5 16-3.5-6.5L4 12Zm7.5 1.5L20 4",
  down: "M6 9l6 6 6-6",
  check: "M5 12.5 10 17.5 19.5 7",
  eye: "M2.5 12s3.5-6.5 9.5-6.5 9.5 6.5 9.5 6.5-3.5 6.5-9.5 6.5S2.5 12 2.5 12ZM12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z",
  link: "M9 5H5v14h14v-4M13 5h6v6M19 5l-9 9",
  file: "M6 3h8l5 5v13H6V3Zm8 0v5h5",
  play: "M8 5.5v13l10-6.5-10-6.5Z",
  pause: "M9 5.5v13M15 5.5v13",
  warn: "M12 4 2.5 20h19L12 4Zm0 6v5m0 2.6v.1",
};

/** A decorative icon. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

/** Three dots that move while something is under way. */
export function dots() {
  return el("span", { class: "dots", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
}

/** The address to use for a URL of a message, null unless it is of the web; what the sandbox stores is at our own origin. */
export function address(url) {
  let parsed;
  try {
    parsed = new URL(url, location.href);
  } catch {
    return null;
  }
  if (!/^https?:$/.test(parsed.protocol)) return null;
  return parsed.pathname.startsWith("/attachments/") ? parsed.pathname + parsed.search : parsed.href;
}

/** Show a popover under its anchor, or above it where there is more room, and never beyond the window. */
export function openBeside(anchor, popover) {
  popover.showPopover();
  const at = anchor.getBoundingClientRect();
  const size = popover.getBoundingClientRect();
  const below = innerHeight - at.bottom - 8;
  const top = below >= size.height || below > at.top ? at.bottom + 4 : Math.max(8, at.top - size.height - 4);
  popover.style.setProperty("--top", `${top}px`);
  popover.style.setProperty("--left", `${Math.max(8, Math.min(at.left, innerWidth - size.width - 8))}px`);
  popover.style.setProperty("--least", `${at.width}px`);
}
