// Buttons, selects and the newer layout components of a message.

import { COMPONENT } from "./interactions.js";
import { SELECTS, Select } from "./select.js";
import { attachment, picture } from "./embeds.js";
import { address, dots, el, icon } from "./dom.js";
import { markdown } from "./markdown.js";

const LINK = 5;
const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "secondary", 6: "primary" };

const BUILD = {
  1: (wire, message, view) =>
    el(
      "div",
      { class: "row" },
      wire.components.map((inner) => component(inner, message, view)),
    ),
  2: button,
  9: section,
  10: (wire, _message, view) => el("div", { class: "text-display" }, markdown(wire.content, view)),
  11: (wire, _message, view) =>
    el("div", { class: "thumbnail" }, picture({ ...wire.media, description: wire.description }, view, "Thumbnail")),
  12: gallery,
  13: (wire, message, view) => attachment(uploaded(wire.file, message), view),
  14: (wire) =>
    el("hr", { class: `separator ${wire.divider === false ? "plain" : ""} ${wire.spacing === 2 ? "wide" : ""}` }),
  17: container,
};

/** The node of a component that the bot put into a message. */
export function component(wire, message, view) {
  if (SELECTS.has(wire.type)) return select(wire, message, view);
  return (
    BUILD[wire.type]?.(wire, message, view) ??
    el("p", { class: "faint" }, `This page cannot show component type ${wire.type}.`)
  );
}

function button(wire, message, view) {
  const emoji =
    wire.emoji?.name && el("span", { class: "button-emoji" }, wire.emoji.id ? `:${wire.emoji.name}:` : wire.emoji.name);
  const face = [emoji, wire.label && el("span", {}, wire.label)];
  const props = { class: `button ${STYLES[wire.style] ?? "secondary"}` };
  if (wire.style === LINK) {
    return el(
      "a",
      { ...props, href: address(wire.url), target: "_blank", rel: "noopener noreferrer" },
      face,
      icon("link"),
    );
  }
  const node = el(
    "button",
    { ...props, type: "button", disabled: wire.disabled, data: { customId: wire.custom_id ?? "" } },
    face,
  );
  node.addEventListener("click", () => press(node, { custom_id: wire.custom_id, component_type: 2 }, message, view));
  return node;
}

function select(wire, message, view) {
  const menu = new Select(wire, view, (values) =>
    press(menu.button, { custom_id: wire.custom_id, component_type: wire.type, values }, message, view),
  );
  menu.button.dataset.customId = wire.custom_id;
  return menu.node;
}

async function press(node, data, message, view) {
  if (node.getAttribute("aria-busy") === "true") return;
  const article = node.closest("article");
  const complaint = article.querySelector(".complaint");
  complaint.replaceChildren();
  node.setAttribute("aria-busy", "true");
  const moving = dots();
  node.append(moving);
  try {
    await view.interactions.send(COMPONENT, message.channel_id, { message_id: message.id, ...data });
  } catch (error) {
    complaint.replaceChildren(icon("warn"), `This interaction failed: ${error.message}`);
  } finally {
    node.removeAttribute("aria-busy");
    moving.remove();
  }
}

function section(wire, message, view) {
  const texts = wire.components.map((inner) => component(inner, message, view));
  return el("div", { class: "section" }, el("div", {}, texts), component(wire.accessory, message, view));
}

function gallery(wire, _message, view) {
  const items = wire.items.map(({ media, description }) => picture({ ...media, description }, view, "Picture"));
  return el("div", { class: "gallery" }, items);
}

function container(wire, message, view) {
  const colour = Number.isInteger(wire.accent_color)
    ? `#${wire.accent_color.toString(16).padStart(6, "0")}`
    : undefined;
  const inner = wire.components.map((one) => component(one, message, view));
  return el("div", { class: `container ${colour ? "accented" : ""}`, vars: colour ? { "--bar": colour } : {} }, inner);
}

function uploaded(file, message) {
  const name = file.url.split("/").pop();
  return (
    (message.attachments ?? []).find(({ url }) => url === file.url) ?? {
      ...file,
      filename: file.name ?? name,
      size: file.size ?? 0,
    }
  );
}
