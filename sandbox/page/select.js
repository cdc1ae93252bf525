// A select menu: a button that opens a list; one value or several.

import { el, icon, openBeside } from "./dom.js";
import { nameOf } from "./state.js";

export const SELECTS = new Set([3, 5, 6, 7, 8]);
const STRING_SELECT = 3;
const CHANNEL_SELECT = 8;

let count = 0;

export class Select {
  #chosen;

  /** `commit(values)` is called when the person has chosen. */
  constructor(wire, view, commit = () => {}) {
    this.wire = wire;
    this.commit = commit;
    this.options = optionsOf(wire, view.state);
    this.most = wire.max_values ?? 1;
    this.#chosen = this.options.filter((option) => option.default).map(({ value }) => value);
    this.committed = this.#chosen;
    const id = `select-${(count += 1)}`;
    this.words = el("span", { class: "select-words" });
    this.button = el(
      "button",
      {
        type: "button",
        class: "select",
        disabled: wire.disabled,
        "aria-haspopup": "listbox",
        "aria-controls": id,
        "aria-expanded": "false",
        onclick: () => this.#open(),
        onkeydown: (event) => this.#keyOnButton(event),
      },
      this.words,
      icon("down"),
    );
    this.list = el("div", {
      id,
      class: "select-list",
      role: "listbox",
      popover: "auto",
      tabindex: "-1",
      "aria-multiselectable": String(this.most > 1),
      onkeydown: (event) => this.#key(event),
    });
    this.list.addEventListener("toggle", ({ newState }) => this.#toggled(newState === "open"));
    this.node = el("div", { class: "select-box" }, this.button, this.list);
    this.#show();
  }

  get values() {
    return this.#chosen;
  }

  get missing() {
    const least = this.wire.min_values ?? 1;
    return (this.wire.required ?? true) && this.#chosen.length < least;
  }

  #show() {
    const labels = this.options.filter(({ value }) => this.#chosen.includes(value)).map(({ label }) => label);
    this.words.textContent = labels.join(", ") || this.wire.placeholder || "Make a selection";
    this.words.classList.toggle("faint", !labels.length);
    this.button.setAttribute(
      "aria-label",
      `${this.wire.placeholder ?? "Select"}${labels.length ? `: ${labels.join(", ")}` : ""}`,
    );
  }

  #open() {
    if (this.list.matches(":popover-open")) return;
    this.list.replaceChildren(...this.options.map((option) => this.#row(option)));
    openBeside(this.button, this.list);
    (this.list.querySelector('[aria-selected="true"]') ?? this.list.firstElementChild ?? this.list).focus();
  }

  #row({ label, value, description, emoji }) {
    const chosen = this.#chosen.includes(value);
    return el(
      "div",
      {
        class: "select-option",
        role: "option",
        tabindex: "-1",
        "aria-selected": String(chosen),
        data: { value },
        onclick: () => this.#choose(value),
      },
      emoji?.name && !emoji.id ? el("span", {}, emoji.name) : null,
      el(
        "span",
        { class: "select-option-words" },
        el("span", {}, label),
        description && el("span", { class: "faint" }, description),
      ),
      el("span", { class: "select-mark" }, icon("check")),
    );
  }

  #choose(value) {
    if (this.most === 1) {
      this.#chosen = [value];
      this.list.hidePopover();
      this.button.focus();
      return;
    }
    if (this.#chosen.includes(value)) this.#chosen = this.#chosen.filter((one) => one !== value);
    else if (this.#chosen.length < this.most) this.#chosen = [...this.#chosen, value];
    for (const row of this.list.children)
      row.setAttribute("aria-selected", String(this.#chosen.includes(row.dataset.value)));
    this.#show();
  }

  #toggled(open) {
    this.button.setAttribute("aria-expanded", String(open));
    if (open) return;
    this.#show();
    const changed = this.#chosen.join() !== this.committed.join();
    if (changed && this.#chosen.length >= (this.wire.min_values ?? 1)) {
      this.committed = this.#chosen;
      this.commit(this.#chosen);
    }
  }

  #keyOnButton(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    this.#open();
  }

  #key(event) {
    const rows = [...this.list.children];
    const at = rows.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined) rows[(to + rows.length) % rows.length].focus();
    else if ((event.key === "Enter" || event.key === " ") && at !== -1) this.#choose(rows[at].dataset.value);
    else if (event.key === "Tab" || event.key === "Escape") {
      event.stopPropagation();
      this.list.hidePopover();
      this.button.focus();
      if (event.key === "Tab") return;
    } else return;
    event.preventDefault();
  }
}

function optionsOf(wire, state) {
  if (wire.type === STRING_SELECT) return wire.options;
  const known =
    wire.type === CHANNEL_SELECT
      ? state.channels.filter(({ guild }) => guild).map((channel) => ({ label: `#${channel.name}`, value: channel.id }))
      : [...state.people, state.bot].map((user) => ({ label: nameOf(user), value: user.id }));
  const preset = new Set((wire.default_values ?? []).map(({ id }) => id));
  return known.map((option) => ({ ...option, default: preset.has(option.value) }));
}
