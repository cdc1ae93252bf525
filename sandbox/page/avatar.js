// Faces: initials on the person's colour, the pulse for the bot.

import { el, icon } from "./dom.js";
import { nameOf } from "./state.js";

export function avatar(user, size = "") {
  if (user?.bot) return el("span", { class: `avatar bot ${size}`, "aria-hidden": "true" }, icon("pulse"));
  const initials = nameOf(user)
    .split(/\s+/)
    .slice(0, 2)
    .map((word) => [...word][0])
    .join("")
    .toUpperCase();
  const colour = /^#[0-9a-f]{6}$/i.test(user?.colour ?? "") ? user.colour : "#5b6472";
  return el(
    "span",
    { class: `avatar ${size}`, "aria-hidden": "true", vars: { "--face": colour, "--ink": inkOn(colour) } },
    initials,
  );
}

function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return red * 0.299 + green * 0.587 + blue * 0.114 > 120 ? "#10131a" : "#ffffff";
}
