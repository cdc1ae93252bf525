// A command being filled in: its name and one pill for each option.

import { AUTOCOMPLETE } from "./interactions.js";
import { choicesOf, interactionData, optionNamed, read } from "./command_line.js";
import { el, icon } from "./dom.js";

const PAUSE_MS = 150;

export class CommandEntry {
  #pills = new Map();
  #timer = 0;
  #round = 0;

  /** `leave(text)` gives the line back to plain text; `submit()` sends; `complain(words)` shows an error. */
  constructor(command, { view, picker, leave, submit, complain }) {
    Object.assign(this, { command, view, picker, leave, submit, complain });
    this.tail = el("input", {
      class: "tail",
      role: "combobox",
      "aria-controls": "picker",
      "aria-expanded": "false",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      oninput: () => this.#offerOptions(),
      onfocus: () => this.#offerOptions(),
      onkeydown: (event) => this.#keyOnTail(event),
      onblur: () => this.picker.close(),
    });
    const name = el("span", { class: "command-name" }, `/${command.name}`);
    this.node = el(
      "div",
      {
        class: "command-entry",
        role: "group",
        "aria-label": `Command ${command.name}`,
        onclick: (event) => this.#focusNearest(event),
      },
      name,
      this.tail,
    );
    for (const option of command.options.filter(({ required }) => required)) this.add(option);
    this.#nameTail();
  }

  /** What is typed so far, by option. */
  get typed() {
    return new Map(
      [...this.#pills].map(([option, pill]) => [option, pill.input.value.trim()]).filter(([, text]) => text),
    );
  }

  /** Focus the first option that waits for a value, else the end of the line. */
  focus() {
    const waiting = [...this.#pills.values()].find(({ input }) => !input.value);
    (waiting?.input ?? this.tail).focus();
  }

  add(option, text = "") {
    const known = this.#pills.get(option);
    if (known) {
      if (text) this.#write(known, text);
      return known;
    }
    const pill = this.#pill(option);
    this.#pills.set(option, pill);
    this.tail.before(pill.node);
    if (text) this.#write(pill, text);
    this.#nameTail();
    return pill;
  }

  /** {values} by option when all is valid; else points at the first fault and returns nothing. */
  read() {
    const values = new Map();
    for (const [option, pill] of this.#pills) {
      const { value, error } =
        pill.chosen?.text === pill.input.value ? pill.chosen : read(option, pill.input.value, this.view.state);
      pill.input.setAttribute("aria-invalid", String(Boolean(error)));
      if (error) {
        this.complain(error);
        pill.input.focus();
        return undefined;
      }
      if (value !== undefined) values.set(option, value);
    }
    return values;
  }

  #pill(option) {
    const input = el("input", {
      role: "combobox",
      "aria-label": option.name,
      "aria-description": option.description,
      "aria-controls": "picker",
      "aria-expanded": "false",
      "aria-required": String(Boolean(option.required)),
      autocomplete: "off",
      autocapitalize: "off",
      autocorrect: "off",
      spellcheck: "false",
      enterkeyhint: "send",
      maxlength: 6000,
    });
    const pill = { option, input, chosen: null };
    input.addEventListener("input", () => this.#changed(pill));
    input.addEventListener("focus", () => this.#offerValues(pill));
    input.addEventListener("click", () => this.picker.isOpen || this.#offerValues(pill));
    input.addEventListener("blur", () => this.#stopOffering());
    input.addEventListener("keydown", (event) => this.#key(event, pill));
    const drop = el(
      "button",
      {
        type: "button",
        class: "pill-drop",
        tabindex: "-1",
        "aria-label": `Remove ${option.name}`,
        onclick: () => this.#drop(pill),
      },
      icon("close"),
    );
    pill.node = el(
      "span",
      { class: "pill" },
      el("span", { class: "pill-name" }, option.name),
      input,
      option.required ? null : drop,
    );
    fit(input);
    return pill;
  }

  #write(pill, text, value) {
    pill.input.value = text;
    pill.chosen = value === undefined ? null : { text, value };
    pill.input.removeAttribute("aria-invalid");
    fit(pill.input);
  }

  #changed(pill) {
    pill.chosen = null;
    pill.input.removeAttribute("aria-invalid");
    this.complain("");
    if (!this.#takeNames(pill)) this.#offerValues(pill);
    fit(pill.input);
  }

  /** "symbols:" typed inside a pill moves on to that option. */
  #takeNames(pill) {
    const match = /(?:^|\s)([-\w\p{L}]+):(.*)$/u.exec(pill.input.value);
    const option = match && optionNamed(this.command.options, match[1]);
    if (!option) return false;
    pill.input.value = pill.input.value.slice(0, match.index);
    fit(pill.input);
    const target = this.add(option, match[2].trimStart());
    if (target === pill) this.#write(pill, match[2].trimStart());
    target.input.focus();
    if (target === pill) this.#offerValues(pill);
    return true;
  }

  #drop(pill) {
    this.#pills.delete(pill.option);
    pill.node.remove();
    this.#nameTail();
    this.focus();
  }

  #offerValues(pill) {
    this.#stopOffering(false);
    const { option, input } = pill;
    const title = describe(option);
    const choices = choicesOf(option, this.view.state);
    if (choices.length) {
      const wanted = input.value.trim().toLowerCase();
      const fits = choices.filter(({ name }) => pill.chosen || name.toLowerCase().includes(wanted));
      this.#open(pill, title, fits, "No such option");
    } else if (option.autocomplete) {
      if (!this.picker.items.length) this.picker.wait(input, title);
      const round = this.#round;
      this.#timer = setTimeout(() => this.#ask(pill, title, round), PAUSE_MS);
    } else {
      this.picker.open(input, { title, items: [], empty: option.description });
    }
  }

  async #ask(pill, title, round) {
    const values = new Map();
    for (const [option, { input }] of this.#pills) {
      if (option === pill.option) values.set(option, input.value);
      else if (read(option, input.value, this.view.state).value !== undefined)
        values.set(option, read(option, input.value, this.view.state).value);
    }
    try {
      const data = interactionData(this.command, values, pill.option);
      const { choices } = await this.view.interactions.send(AUTOCOMPLETE, this.view.channel.id, data);
      if (round === this.#round) this.#open(pill, title, choices, "No matches; Enter sends what you typed");
    } catch (error) {
      if (round === this.#round)
        this.picker.open(pill.input, { title, items: [], empty: `Loading options failed: ${error.message}` });
    }
  }

  #open(pill, title, choices, empty) {
    const items = choices.map(({ name, value }) => ({
      label: name,
      value,
      pick: () => {
        this.#write(pill, name, value);
        this.#stopOffering();
        this.#next(pill);
      },
    }));
    this.picker.open(pill.input, { title, items, empty });
  }

  #stopOffering(close = true) {
    clearTimeout(this.#timer);
    this.#round += 1;
    if (close) this.picker.close();
  }

  /** After a pick: to the next option that must have a value, else stay, so that Enter sends. */
  #next(pill) {
    const waiting = [...this.#pills.values()].find(({ option, input }) => option.required && !input.value);
    if (waiting) waiting.input.focus();
    else pill.input.setSelectionRange(pill.input.value.length, pill.input.value.length);
  }

  #offerOptions() {
    const named = /^([-\w\p{L}]+):$/u.exec(this.tail.value);
    const free = this.command.options.filter((option) => !this.#pills.has(option));
    const pick = (option) => {
      this.tail.value = "";
      this.add(option).input.focus();
    };
    const exact = named && optionNamed(free, named[1]);
    if (exact) {
      pick(exact);
      return;
    }
    const wanted = this.tail.value.trim().toLowerCase();
    const items = free
      .filter(({ name }) => name.includes(wanted))
      .map((option) => ({ label: option.name, detail: option.description, pick: () => pick(option) }));
    this.picker.open(this.tail, { title: "Options", items, first: Boolean(wanted) });
  }

  #nameTail() {
    const free = this.command.options.length - this.#pills.size;
    const words = free ? `+${free} optional` : "";
    this.tail.placeholder = words;
    this.tail.size = Math.max(words.length, 4);
    this.tail.setAttribute(
      "aria-label",
      free ? `${free} more optional; Enter sends /${this.command.name}` : `Enter sends /${this.command.name}`,
    );
  }

  #key(event, pill) {
    const { input } = pill;
    const atStart = input.selectionStart === 0 && input.selectionEnd === 0;
    const atEnd = input.selectionStart === input.value.length;
    if (event.isComposing) return;
    if (event.key === "Enter" || event.key === "Tab") this.#accept(event, pill);
    else if (this.#keyOnList(event)) return;
    else if (event.key === "Backspace" && !input.value) {
      event.preventDefault();
      this.#backFrom(pill);
    } else if (event.key === "ArrowLeft" && atStart) this.#step(event, input, -1);
    else if (event.key === "ArrowRight" && atEnd) this.#step(event, input, 1);
  }

  /** Enter and Tab take the active item, unless what is typed is already one of the values. */
  #accept(event, pill) {
    const { active, items } = this.picker;
    const typed = pill.input.value.trim().toLowerCase();
    const settled =
      pill.chosen ||
      items.some(({ label, value }) => [label.toLowerCase(), String(value).toLowerCase()].includes(typed));
    const takes = active && (this.picker.wasMoved || (!settled && typed));
    if (event.shiftKey || (event.key === "Tab" && !takes)) return;
    event.preventDefault();
    if (takes) active.pick();
    else this.submit();
  }

  #keyOnTail(event) {
    if (event.isComposing) return;
    const { active, wasMoved } = this.picker;
    if (event.key === "Enter" || (event.key === "Tab" && !event.shiftKey)) {
      const takes = active && (wasMoved || this.tail.value.trim());
      if (event.key === "Tab" && !takes) return;
      event.preventDefault();
      if (takes) active.pick();
      else this.submit();
    } else if (this.#keyOnList(event)) return;
    else if (event.key === "Backspace" && !this.tail.value) {
      event.preventDefault();
      const last = [...this.#pills.values()].at(-1);
      if (last) last.input.focus();
      else this.leave(`/${this.command.name}`);
    } else if (event.key === "ArrowLeft" && this.tail.selectionStart === 0) this.#step(event, this.tail, -1);
  }

  #keyOnList(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.picker.move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (this.picker.isOpen && this.picker.items.length) this.#stopOffering();
      else this.leave("");
    } else {
      return false;
    }
    return true;
  }

  #backFrom(pill) {
    if (!pill.option.required) this.#drop(pill);
    else if (pill === this.#pills.values().next().value) this.leave(`/${this.command.name}`);
    else this.#step(null, pill.input, -1);
  }

  #step(event, input, by) {
    const inputs = [...this.node.querySelectorAll("input")];
    const to = inputs[inputs.indexOf(input) + by];
    if (!to) return;
    event?.preventDefault();
    to.focus();
    to.setSelectionRange(by < 0 ? to.value.length : 0, by < 0 ? to.value.length : 0);
  }

  #focusNearest(event) {
    const pill = event.target.closest(".pill");
    if (pill && event.target.tagName !== "INPUT") pill.querySelector("input")?.focus();
    else if (event.target === this.node) this.tail.focus();
  }
}

function describe(option) {
  return el("span", {}, el("strong", {}, option.name), ` ${option.description}`);
}

/** Inputs are as wide as what they hold. */
function fit(input) {
  input.size = Math.min(Math.max(input.value.length + 1, 4), 40);
}
