// One message as a node.

import { avatar } from "./avatar.js";
import { component } from "./components.js";
import { dots, el, icon } from "./dom.js";
import { attachment, embed } from "./embeds.js";
import { markdown } from "./markdown.js";
import { nameOf } from "./state.js";

const EPHEMERAL = 64;
const LOADING = 128;
const COMMAND = 2;

export const isEphemeral = (message) => Boolean(message.flags & EPHEMERAL);

/** `grouped`: it continues the message above, by the same author. `source`: the message whose button led to it. */
export function messageNode(message, { grouped, source, view, dismiss }) {
  const author = view.state.user(message.author.id) ?? message.author;
  const above = origin(message, source, view);
  const classes = ["message", grouped && "grouped", isEphemeral(message) && "ephemeral", above && "answers"];
  const moment = Date.parse(message.timestamp);
  const when = (text) =>
    el("time", { class: "written", datetime: message.timestamp, title: view.clock.format(moment, "F") }, text);
  return el(
    "article",
    {
      class: classes.filter(Boolean).join(" "),
      data: { messageId: message.id },
      "aria-label": `${nameOf(author)}, ${view.clock.written(moment)}`,
    },
    above,
    el("div", { class: "gutter" }, grouped ? when(view.clock.format(moment, "t")) : avatar(author)),
    el(
      "div",
      { class: "body" },
      grouped
        ? null
        : el(
            "div",
            { class: "head" },
            el("span", { class: "author" }, nameOf(author)),
            author.bot && el("span", { class: "tag" }, "APP"),
            when(view.clock.written(moment)),
          ),
      content(message, author, view),
      el("p", { class: "complaint", role: "alert" }),
      isEphemeral(message) ? onlyYou(() => dismiss(message.id)) : null,
    ),
  );
}

function content(message, author, view) {
  if (message.loading || message.flags & LOADING) {
    return el("p", { class: "thinking" }, dots(), `${nameOf(author)} is thinking…`);
  }
  const embeds = message.embeds ?? [];
  const inEmbeds = new Set(embeds.flatMap(({ image, thumbnail }) => [image?.url, thumbnail?.url]));
  const components = message.components ?? [];
  const layout = JSON.stringify(components);
  const files = (message.attachments ?? []).filter(
    ({ url }) => !inEmbeds.has(url) && !layout.includes(JSON.stringify(url)),
  );
  const edited = message.edited_timestamp && el("span", { class: "edited" }, "(edited)");
  return [
    message.content ? el("div", { class: "content" }, markdown(message.content, view), edited) : null,
    ...files.map((file) => attachment(file, view)),
    ...embeds.map((wire) => embed(wire, view)),
    components.length
      ? el(
          "div",
          { class: "components" },
          components.map((wire) => component(wire, message, view)),
        )
      : null,
  ];
}

function origin(message, source, view) {
  const { interaction_metadata: how, command_text: line } = message;
  if (how?.type === COMMAND && how.name) {
    const who = view.state.user(how.user.id) ?? how.user;
    const again = () => view.compose(line ?? `/${how.name}`);
    const command = el("button", { class: "command", type: "button", title: line, onclick: again }, `/${how.name}`);
    return el(
      "div",
      { class: "origin" },
      avatar(who, "tiny"),
      el("span", { class: "origin-who" }, nameOf(who)),
      " used ",
      command,
    );
  }
  if (!source) return null;
  const who = view.state.user(source.author.id) ?? source.author;
  const embedded = source.embeds?.[0];
  const words = source.content || embedded?.title || embedded?.description || "A message";
  const summary = el("span", {}, markdown(words, view)).textContent;
  return el(
    "div",
    { class: "origin" },
    avatar(who, "tiny"),
    el("span", { class: "origin-who" }, nameOf(who)),
    el("span", { class: "origin-words" }, summary),
  );
}

function onlyYou(dismiss) {
  const away = el("button", { class: "textual", type: "button", onclick: dismiss }, "Dismiss message");
  return el("p", { class: "only-you" }, icon("eye"), "Only you can see this · ", away);
}

/** A command under way, or what became of it when nobody answered. */
export function pendingNode(command, view) {
  const { me, bot } = view.state;
  const words = el("p", { class: "thinking" }, dots(), "Sending command…");
  const used = el(
    "div",
    { class: "origin" },
    avatar(me, "tiny"),
    el("span", { class: "origin-who" }, nameOf(me)),
    " used ",
    el("span", { class: "command" }, `/${command}`),
  );
  const body = el(
    "div",
    { class: "body" },
    el("div", { class: "head" }, el("span", { class: "author" }, nameOf(bot)), el("span", { class: "tag" }, "APP")),
    words,
  );
  const node = el(
    "article",
    { class: "message answers pending", "aria-label": `/${command} under way` },
    used,
    el("div", { class: "gutter" }, avatar(bot)),
    body,
  );
  const fail = (reason, retry, dismiss) => {
    node.classList.replace("pending", "ephemeral");
    const again = el("button", { class: "textual", type: "button", onclick: retry }, "Try again");
    words.replaceWith(
      el("p", { class: "failed", role: "alert" }, icon("warn"), reason),
      el(
        "p",
        { class: "only-you" },
        icon("eye"),
        "Only you can see this · ",
        again,
        " · ",
        el("button", { class: "textual", type: "button", onclick: dismiss }, "Dismiss"),
      ),
    );
  };
  return { node, fail };
}
