// Where the person writes: messages, and commands by the slash picker or as one line of text.

import { CommandEntry } from "./command_entry.js";
import { asLine, findCommand, interactionData, offered, read, splitOptions } from "./command_line.js";
import { COMMAND } from "./interactions.js";
import { avatar } from "./avatar.js";
import { post } from "./api.js";
import { el, icon } from "./dom.js";
import { nameOf, titleOf } from "./state.js";
import { Picker } from "./picker.js";

const REMEMBERED = 50;
const LONGEST = 2000;

export class Composer {
  #entry = null;
  #sent = [];
  #recalled = 0;

  /** `log` shows commands under way. */
  constructor(view, log) {
    Object.assign(this, { view, log });
    this.picker = new Picker();
    this.error = el("p", { class: "composer-error", role: "alert" });
    this.hint = el("p", { class: "composer-hint", hidden: true });
    this.text = el("textarea", {
      id: "composer",
      rows: 1,
      "data-testid": "composer",
      "aria-autocomplete": "list",
      "aria-controls": "picker",
      autocomplete: "off",
      enterkeyhint: "send",
      oninput: () => this.#changed(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.picker.close(),
      onfocus: () => this.#offer(),
    });
    this.line = el("div", { class: "composer-line" }, this.text);
    const send = el("button", { class: "send", type: "submit", "aria-label": "Send" }, icon("send"));
    const submit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    this.node = el(
      "form",
      { class: "composer", onsubmit: submit },
      this.picker.node,
      this.error,
      this.hint,
      el("div", { class: "composer-box" }, this.line, send),
    );
  }

  /** Begin afresh in another channel. */
  show(channel) {
    const words = `Message ${titleOf(channel)}`;
    this.text.setAttribute("aria-label", words);
    this.text.placeholder = words;
    this.write("");
  }

  focus() {
    if (this.#entry) this.#entry.focus();
    else this.text.focus();
  }

  /** Put a line into the composer: a command becomes pills. */
  write(line) {
    const found = line && findCommand(line.trim(), this.#commands);
    if (found) {
      this.#enter(found.command, splitOptions(found.rest, found.command.options));
      return;
    }
    this.#leave(line, Boolean(line));
  }

  /** Send a line as if it had been typed; when it cannot be sent, it stays in the composer. */
  run(line) {
    this.#leave(line, false);
    this.#submit();
  }

  get #commands() {
    return this.view.state.commandsIn(this.view.channel);
  }

  #changed() {
    this.#complain("");
    this.#recalled = 0;
    const command = this.#commands.find(({ name }) => this.text.value === `/${name} `);
    if (command) this.#enter(command, new Map());
    else this.#offer();
    this.#fit();
  }

  #offer() {
    const line = this.text.value;
    const found = findCommand(line, this.#commands);
    this.#explain(found?.rest ? found : null);
    if (!line.startsWith("/") || line.includes("\n") || found?.rest) {
      this.picker.close();
      return;
    }
    const { state } = this.view;
    const items = offered(line.slice(1), this.#commands).map((command) => ({
      command,
      face: avatar(state.bot, "small"),
      label: el(
        "span",
        {},
        `/${command.name}`,
        command.options.map(({ name }) => el("span", { class: "picker-option" }, name)),
      ),
      detail: command.description,
      aside: nameOf(state.bot),
      pick: () => this.#enter(command, new Map()),
    }));
    const none = state.commands.length
      ? "No command has this name"
      : `${nameOf(state.bot)} has not registered its commands yet`;
    this.picker.open(this.text, { title: "Commands", items, empty: line.includes(" ") ? "" : none });
  }

  /** For a command typed as one line: how it will be understood. */
  #explain(found) {
    this.hint.hidden = !found;
    if (!found) return;
    const typed = splitOptions(found.rest, found.command.options);
    this.hint.replaceChildren("Enter sends ", el("code", {}, asLine(found.command, typed)));
  }

  #enter(command, typed) {
    this.#complain("");
    this.hint.hidden = true;
    this.picker.close();
    this.#entry = new CommandEntry(command, {
      view: this.view,
      picker: this.picker,
      leave: (text) => this.#leave(text, true),
      submit: () => this.#submit(),
      complain: (words) => this.#complain(words),
    });
    for (const [option, text] of typed) this.#entry.add(option, text);
    this.text.value = "";
    this.line.replaceChildren(this.#entry.node);
    this.#entry.focus();
  }

  #leave(text, focus) {
    // A finger that pressed a suggestion does not want the keyboard of the phone.
    const wanted = focus && (this.node.contains(document.activeElement) || matchMedia("(hover: hover)").matches);
    this.#entry = null;
    this.picker.close();
    this.#complain("");
    this.hint.hidden = true;
    this.text.value = text;
    if (this.text.parentNode !== this.line) this.line.replaceChildren(this.text);
    this.#fit();
    if (!wanted) return;
    this.text.focus();
    this.#offer();
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#enterPressed();
    } else if (this.picker.isOpen && event.key === "Tab" && !event.shiftKey && this.picker.active) {
      event.preventDefault();
      this.picker.active.pick();
    } else if (this.picker.isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp") && !this.#recalled) {
      event.preventDefault();
      this.picker.move(event.key === "ArrowDown" ? 1 : -1);
    } else if (this.picker.isOpen && event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.picker.close();
    } else if (event.key === "ArrowUp" && (!this.text.value || this.#recalled)) this.#recall(event, 1);
    else if (event.key === "ArrowDown" && this.#recalled) this.#recall(event, -1);
  }

  /** A name that is complete and needs nothing more is sent, otherwise Enter takes the active command. */
  #enterPressed() {
    const active = this.picker.active?.command;
    const complete =
      active && this.text.value.trim() === `/${active.name}` && !active.options.some(({ required }) => required);
    if (active && !complete) this.picker.active.pick();
    else this.#submit();
  }

  #recall(event, step) {
    const to = this.#recalled + step;
    if (to < 0 || to > this.#sent.length) return;
    event.preventDefault();
    this.text.value = this.#sent.at(-to) && to ? this.#sent.at(-to) : "";
    this.#fit();
    this.#offer();
    this.picker.close();
    this.#recalled = to;
  }

  #submit() {
    if (this.#entry) {
      const values = this.#entry.read();
      if (values) this.#sendCommand(this.#entry.command, values, asLine(this.#entry.command, this.#entry.typed));
      return;
    }
    const line = this.text.value.trim();
    if (line.startsWith("/")) this.#sendLine(line);
    else if (line) this.#sendMessage(line);
  }

  #sendLine(line) {
    const found = findCommand(line, this.#commands);
    if (!found) {
      this.#complain(
        this.view.state.commands.length
          ? `There is no command ${line.split(/\s/)[0]}. Type / to see them all.`
          : `${nameOf(this.view.state.bot)} has not registered its commands yet.`,
      );
      return;
    }
    const { command, rest } = found;
    const typed = splitOptions(rest, command.options);
    const values = new Map();
    for (const option of command.options) {
      const { value, error } = read(option, typed.get(option) ?? "", this.view.state);
      if (error) {
        this.#enter(command, typed);
        this.#entry.read();
        return;
      }
      if (value !== undefined) values.set(option, value);
    }
    this.#sendCommand(command, values, asLine(command, typed));
  }

  async #sendCommand(command, values, line) {
    const { view } = this;
    this.#remember(line);
    this.#leave("", true);
    const waiting = this.log.await(command.name, () => this.run(line));
    try {
      await view.interactions.send(COMMAND, view.channel.id, interactionData(command, values));
      waiting.done();
    } catch (error) {
      waiting.failed(error.message);
    }
  }

  async #sendMessage(content) {
    if (content.length > LONGEST) {
      this.#complain(`A message may have ${LONGEST} characters; this one has ${content.length}.`);
      return;
    }
    const { view } = this;
    this.#remember(content);
    this.#leave("", true);
    try {
      await post(`/sandbox/channels/${view.channel.id}/messages`, { user: view.state.me.id, content });
    } catch (error) {
      this.#leave(content, true);
      this.#complain(error.message);
    }
  }

  #remember(line) {
    this.#recalled = 0;
    this.#sent = [...this.#sent.filter((sent) => sent !== line), line].slice(-REMEMBERED);
  }

  #complain(words) {
    this.error.textContent = words;
  }

  #fit() {
    this.text.style.setProperty("height", "auto");
    this.text.style.setProperty("height", `${Math.min(this.text.scrollHeight, 200)}px`);
  }
}
