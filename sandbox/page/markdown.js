// Discord's markdown as DOM nodes.

import { address, el } from "./dom.js";
import { nameOf } from "./state.js";

const FENCE = /```(?:([\w+\-.#]+)\n)?\n*([^]+?)\n*```/g;

/** `text` as nodes. `view` finds people and channels, knows the clock, and opens channels and commands. */
export function markdown(text, view) {
  const nodes = [];
  let from = 0;
  for (const fence of text.matchAll(FENCE)) {
    nodes.push(...blocks(text.slice(from, fence.index).replace(/\n$/, ""), view));
    nodes.push(el("pre", { class: "code", tabindex: "0" }, el("code", {}, fence[2])));
    from = fence.index + fence[0].length;
  }
  nodes.push(...blocks(from ? text.slice(from).replace(/^\n/, "") : text, view));
  return nodes;
}

const LIST = /^( *)(?:[-*]|(\d{1,9})\.) +(.*)/;
const BLOCKS = [
  [/^(#{1,3}) +(.+)/, heading],
  [/^-# +(.+)/, subtext],
  [/^>>> ?/, quoteToEnd],
  [/^> /, quote],
  [LIST, list],
];

function blocks(text, view) {
  if (!text) return [];
  const lines = text.split("\n");
  const nodes = [];
  let plain = [];
  const flush = () => {
    if (plain.length) nodes.push(el("p", {}, inline(plain.join("\n"), view)));
    plain = [];
  };
  for (let at = 0; at < lines.length;) {
    const [pattern, build] = BLOCKS.find(([start]) => start.test(lines[at])) ?? [];
    if (!build) {
      plain.push(lines[at]);
      at += 1;
      continue;
    }
    flush();
    const { node, used } = build(lines.slice(at), view, pattern);
    nodes.push(node);
    at += used;
  }
  flush();
  return nodes;
}

function heading([line], view, pattern) {
  const [, marks, words] = pattern.exec(line);
  const level = marks.length;
  return {
    used: 1,
    node: el("div", { class: `heading-${level}`, role: "heading", "aria-level": level + 3 }, inline(words, view)),
  };
}

function subtext([line], view, pattern) {
  return { used: 1, node: el("p", { class: "subtext" }, inline(pattern.exec(line)[1], view)) };
}

function quoteToEnd(lines, view, pattern) {
  const text = [lines[0].replace(pattern, ""), ...lines.slice(1)].join("\n");
  return { used: lines.length, node: el("blockquote", {}, blocks(text, view)) };
}

function quote(lines, view, pattern) {
  const end = lines.findIndex((line) => !pattern.test(line));
  const used = end === -1 ? lines.length : end;
  const text = lines
    .slice(0, used)
    .map((line) => line.replace(pattern, ""))
    .join("\n");
  return { used, node: el("blockquote", {}, blocks(text, view)) };
}

function list(lines, view) {
  const items = [];
  for (const line of lines) {
    const [whole, indent, number, words] = LIST.exec(line) ?? [];
    const depth = indent?.length;
    // Bullets and numbers at the same depth are two lists.
    if (!whole || (items.length && depth <= items[0].depth && !number !== !items[0].number)) break;
    items.push({ depth, number, words });
  }
  return { used: items.length, node: nested(items, view) };
}

function nested(items, view) {
  const [{ depth, number }] = items;
  const node = number ? el("ol", { start: number }) : el("ul");
  for (let at = 0; at < items.length;) {
    const next = items.findIndex((item, index) => index > at && item.depth <= depth);
    const end = next === -1 ? items.length : next;
    const inner = items.slice(at + 1, end);
    node.append(el("li", {}, inline(items[at].words, view), inner.length ? nested(inner, view) : null));
    at = end;
  }
  return node;
}

const wrap = (tag, props) => (match, view) => el(tag, props, inline(match[1], view));

const RULES = [
  [/\\([^\sA-Za-z0-9])/y, (match) => match[1]],
  [/(`+)([^]*?[^`])\1(?!`)/y, (match) => el("code", {}, match[2])],
  [/<t:(-?\d{1,14})(?::([tTdDfFRsS]))?>/y, (match, view) => view.clock.timestamp(Number(match[1]), match[2])],
  [/<@!?(\d{1,20})>/y, (match, view) => el("span", { class: "mention" }, `@${nameOf(view.state.user(match[1]))}`)],
  [/<@&(\d{1,20})>/y, () => el("span", { class: "mention" }, "@role")],
  [/<#(\d{1,20})>/y, channelMention],
  [/<\/([-_\p{L}\p{N} ]{1,100}):(\d{1,20})>/uy, commandMention],
  [/<a?:(\w{2,32}):\d{1,20}>/y, (match) => `:${match[1]}:`],
  [/<(https?:\/\/[^\s<>]+)>/y, (match) => link(match[1], [match[1]])],
  [
    /\[((?:\\.|[^\]\\])+)\]\((https?:\/\/[^\s)]+)(?:\s+"[^"]*")?\)/y,
    (match, view) => link(match[2], inline(match[1], view), match[0]),
  ],
  [/https?:\/\/[^\s<]+[^\s<.,:;"')\]*_~|]/y, (match) => link(match[0], [match[0]])],
  [/\*\*([^]+?)\*\*(?!\*)/y, wrap("strong")],
  [/__([^]+?)__(?!_)/y, wrap("u")],
  [/~~([^]+?)~~/y, wrap("s")],
  [/\|\|([^]+?)\|\|/y, spoiler],
  [/\*(?=\S)((?:\*\*|\\.|[^*\\])+?)(?<=\S)\*(?!\*)/y, wrap("em")],
  [/\b_((?:__|\\.|[^_\\])+?)_\b/y, wrap("em")],
];
const SPECIAL = /[\\`<[*_~|h]/g;

function inline(text, view) {
  const nodes = [];
  let from = 0;
  SPECIAL.lastIndex = 0;
  for (let at = nextSpecial(text, 0); at !== -1;) {
    const [match, build] = firstRule(text, at);
    if (!match) {
      at = nextSpecial(text, at + 1);
      continue;
    }
    if (at > from) nodes.push(text.slice(from, at));
    nodes.push(build(match, view));
    from = at + match[0].length;
    at = nextSpecial(text, from);
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

function nextSpecial(text, from) {
  SPECIAL.lastIndex = from;
  return SPECIAL.exec(text)?.index ?? -1;
}

function firstRule(text, at) {
  for (const [pattern, build] of RULES) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) return [match, build];
  }
  return [];
}

function link(url, label, otherwise = url) {
  const href = address(url);
  return href ? el("a", { href, target: "_blank", rel: "noopener noreferrer" }, label) : otherwise;
}

function channelMention(match, view) {
  const channel = view.state.channel(match[1]);
  if (!channel) return el("span", { class: "mention" }, "#unknown");
  return el(
    "button",
    { class: "mention", type: "button", onclick: () => view.openChannel(channel.id) },
    `#${channel.name}`,
  );
}

function commandMention(match, view) {
  return el(
    "button",
    { class: "mention", type: "button", onclick: () => view.compose(`/${match[1]} `) },
    `/${match[1]}`,
  );
}

function spoiler(match, view) {
  const node = el(
    "span",
    { class: "spoiler", role: "button", tabindex: "0", "aria-label": "Spoiler, press to reveal" },
    el("span", {}, inline(match[1], view)),
  );
  const reveal = () => {
    node.classList.add("revealed");
    for (const name of ["role", "tabindex", "aria-label"]) node.removeAttribute(name);
  };
  node.addEventListener("click", reveal, { once: true });
  node.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && (event.preventDefault(), reveal()));
  return node;
}
