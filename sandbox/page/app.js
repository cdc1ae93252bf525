// The page: one person's view of the sandbox.

import { get } from "./api.js";
import { Clock } from "./clock.js";
import { Composer } from "./composer.js";
import { el, icon } from "./dom.js";
import { Interactions } from "./interactions.js";
import { Lightbox } from "./lightbox.js";
import { MessageLog } from "./messages.js";
import { Modal } from "./modal.js";
import { Sidebar } from "./sidebar.js";
import { Socket } from "./socket.js";
import { State, nameOf, titleOf } from "./state.js";
import { WorldPanel } from "./world.js";

const WIDE = matchMedia("(min-width: 1100px)");
const RETRY_MS = 1000;

class Page {
  state = null;
  channel = null;
  interactions = null;
  clock = new Clock();
  #socket = null;
  #wasConnected = false;
  #connected = true;
  #shown = 0;

  constructor(root) {
    this.root = root;
    this.modal = new Modal(this);
    this.lightbox = new Lightbox();
    this.log = new MessageLog(this, (line) => this.composer.run(line));
    this.composer = new Composer(this, this.log);
    this.sidebar = new Sidebar(this, (id) => this.become(id));
    this.world = new WorldPanel(this, () => root.classList.contains("with-world"));
    this.banner = el("p", { class: "banner", role: "status", hidden: true });
    this.title = el("h1", {});
    this.topic = el("p", { class: "topic" });
    this.sideToggle = toggle("menu", "Channels", "side", () => this.toggleSide());
    this.worldToggle = toggle("world", "World", "world", () => this.toggleWorld());
    const top = el("header", { class: "top" }, this.sideToggle, this.title, this.topic, this.worldToggle);
    const main = el("main", { class: "chat" }, top, this.banner, this.log.node, this.composer.node);
    const shade = el("div", { class: "shade", onclick: () => this.closeDrawers() });
    root.replaceChildren(this.sidebar.node, main, this.world.node, shade, this.modal.node, this.lightbox.node);
    document.addEventListener("keydown", (event) => this.#key(event));
    WIDE.addEventListener("change", () => this.toggleWorld(WIDE.matches));
    addEventListener("hashchange", () => this.#openNamed(fragment()));
    addEventListener("focus", () => this.#tellWho());
  }

  async start() {
    this.toggleWorld(WIDE.matches);
    await this.#load(new URLSearchParams(location.search).get("as") ?? sessionStorage.getItem("as"));
    this.root.removeAttribute("aria-busy");
    if (matchMedia("(hover: hover)").matches) this.composer.focus();
  }

  /** Speak as another person: the whole view becomes theirs. */
  async become(id) {
    await this.#load(id);
    this.closeDrawers();
  }

  openChannel(id) {
    if (id === this.channel.id) this.closeDrawers();
    else location.hash = encodeURIComponent(this.#nameInHash(this.state.channel(id)));
  }

  /** Put a line into the composer. */
  compose(line) {
    this.composer.write(line);
    this.composer.focus();
  }

  enlarge(src, alt) {
    this.lightbox.show(src, alt);
  }

  toggleWorld(open = !this.root.classList.contains("with-world")) {
    this.root.classList.toggle("with-world", open);
    this.root.classList.remove("with-side");
    this.#markToggles();
    if (this.state) this.world.poll();
  }

  toggleSide(open = !this.root.classList.contains("with-side")) {
    this.root.classList.toggle("with-side", open);
    if (open && !WIDE.matches) this.root.classList.remove("with-world");
    this.#markToggles();
    if (open) this.sidebar.node.querySelector("[aria-current=page]")?.focus();
  }

  closeDrawers() {
    this.root.classList.remove("with-side");
    if (!WIDE.matches) this.root.classList.remove("with-world");
    this.#markToggles();
  }

  #markToggles() {
    this.sideToggle.setAttribute("aria-expanded", String(this.root.classList.contains("with-side")));
    this.worldToggle.setAttribute("aria-expanded", String(this.root.classList.contains("with-world")));
  }

  async #load(who) {
    this.#socket?.close();
    this.state = await this.#patiently(async () => new State(await get("/sandbox/state"), who));
    const { me } = this.state;
    sessionStorage.setItem("as", me.id);
    this.#tellWho();
    this.clock.locale = me.locale;
    this.interactions = new Interactions(me.id, (modal, origin) => this.modal.open(modal, origin));
    this.#wasConnected = false;
    this.channel = null;
    await this.#openNamed(fragment());
    // What was said before is asked for once the line is up, so that nothing falls between.
    this.#socket = new Socket(me.id, {
      hear: (event, data) => this.#hear(event, data),
      changed: (up) => this.#lineChanged(up),
    });
    this.world.showPresence();
    this.world.poll();
  }

  /** Whoever speaks in the tab in front is who the stand-ins' consent pages expect. */
  #tellWho() {
    if (this.state) document.cookie = `sandbox_person=${this.state.me.username}; path=/; SameSite=Lax`;
  }

  /** The sandbox may still be starting. */
  async #patiently(load) {
    for (;;) {
      try {
        return await load();
      } catch (error) {
        this.#announce(`${error.message}. Trying again…`);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  async #openNamed(name) {
    const channel = this.state.channelNamed(name);
    if (channel.id === this.channel?.id) return;
    this.channel = channel;
    this.title.replaceChildren(icon(channel.guild ? "hash" : "at"), channel.name);
    this.topic.textContent = channel.topic ?? (channel.guild ? "" : "Direct messages");
    document.title = `${titleOf(channel)} · ${this.state.application.name} sandbox`;
    this.log.clear();
    this.composer.show(channel);
    this.sidebar.show();
    this.closeDrawers();
    this.#showBanner();
    if (this.#wasConnected) await this.#fetchMessages();
  }

  #nameInHash(channel) {
    return channel.guild ? channel.name : "dm";
  }

  async #fetchMessages() {
    const round = (this.#shown += 1);
    const { channel } = this;
    try {
      const messages = await get(`/sandbox/channels/${channel.id}/messages?user=${this.state.me.id}`);
      if (round === this.#shown) this.log.show(channel, messages);
    } catch (error) {
      if (round === this.#shown) this.#announce(error.message);
    }
  }

  #hear(event, data) {
    const handlers = {
      MESSAGE_CREATE: () => this.#message(data, true),
      MESSAGE_UPDATE: () => this.#message(data, false),
      MESSAGE_DELETE: () => data.channel_id === this.channel.id && this.log.drop(data.id),
      COMMANDS_UPDATE: () => Object.assign(this.state, { commands: data.commands }),
      BOT_PRESENCE: () => this.#presence(data.online),
      INTERACTION_RESULT: () => this.interactions.hear(event, data),
      AUTOCOMPLETE: () => this.interactions.hear(event, data),
      MODAL: () => this.interactions.hear(event, data),
    };
    handlers[event]?.();
  }

  #message(message, isNew) {
    if (message.channel_id === this.channel.id) this.log.put(message);
    else if (isNew && this.state.channel(message.channel_id)) this.sidebar.notice(message.channel_id);
  }

  #presence(online) {
    this.state.bot.online = online;
    this.#showBanner();
    this.sidebar.show();
    this.world.showPresence();
  }

  /** After a reconnect, what happened meanwhile is asked for. */
  async #lineChanged(up) {
    this.#connected = up;
    this.#showBanner();
    if (!up) return;
    if (this.#wasConnected) {
      const { me } = this.state;
      this.state = await this.#patiently(async () => new State(await get("/sandbox/state"), me.id));
      this.channel = this.state.channelNamed(this.channel.id);
      this.#presence(this.state.bot.online);
    }
    this.#wasConnected = true;
    await this.#fetchMessages();
  }

  #showBanner() {
    if (!this.#connected) this.#announce("The sandbox cannot be reached. Reconnecting…");
    else if (this.state.elsewhere)
      this.#announce(`${nameOf(this.state.bot)} is on your own Discord: type there. Here you move its market.`);
    else if (!this.state.bot.online)
      this.#announce(`${nameOf(this.state.bot)} is offline. Commands work again as soon as it is back.`);
    else this.#announce("");
  }

  #announce(words) {
    this.banner.textContent = words;
    this.banner.hidden = !words;
  }

  /** Escape closes drawers, the page keys scroll from the composer too, and typing anywhere goes there. */
  #key(event) {
    if (event.key === "Escape" && !event.defaultPrevented) {
      this.closeDrawers();
      return;
    }
    const page = { PageUp: -1, PageDown: 1 }[event.key];
    if (page && this.composer.node.contains(document.activeElement)) {
      event.preventDefault();
      this.log.page(page);
      return;
    }
    const typing = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
    const idle = document.activeElement === document.body || document.activeElement === this.log.scroller;
    if (typing && idle && !document.querySelector("dialog[open]")) this.composer.focus();
  }
}

function toggle(shape, label, controls, onclick) {
  return el(
    "button",
    { class: `round ${controls}-toggle`, type: "button", "aria-label": label, "aria-controls": controls, onclick },
    icon(shape),
  );
}

function fragment() {
  return new URLSearchParams(`channel=${location.hash.slice(1)}`).get("channel");
}

await new Page(document.getElementById("app")).start();
