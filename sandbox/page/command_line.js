// Slash commands as text and as values: pure functions.

const SUB_COMMAND = 1;
const SUB_COMMAND_GROUP = 2;
const STRING = 3;
const INTEGER = 4;
const BOOLEAN = 5;
const USER = 6;
const CHANNEL = 7;
const NUMBER = 10;

/** Commands flattened: {id, name: "alert add", path: [{name, type}], description, options}. */
export function invocables(commands) {
  return commands.flatMap((command) => flatten(command, command.id, [{ name: command.name }]));
}

function flatten(node, id, path) {
  const options = node.options ?? [];
  const inner = options.filter(({ type }) => type === SUB_COMMAND || type === SUB_COMMAND_GROUP);
  if (inner.length)
    return inner.flatMap((option) => flatten(option, id, [...path, { name: option.name, type: option.type }]));
  const sorted = [...options.filter(({ required }) => required), ...options.filter(({ required }) => !required)];
  return [{ id, path, name: path.map(({ name }) => name).join(" "), description: node.description, options: sorted }];
}

/** The command that a line starts with, and what follows it. */
export function findCommand(line, commands) {
  const fits = commands.filter(({ name }) => line === `/${name}` || line.startsWith(`/${name} `));
  const [command] = fits.sort((one, other) => other.name.length - one.name.length);
  return command && { command, rest: line.slice(command.name.length + 1).trim() };
}

/** The commands to offer for what is typed after the slash: names that start with it, then the rest. */
export function offered(typed, commands) {
  const wanted = typed.toLowerCase();
  const rank = ({ name, description }) => {
    const at = name.indexOf(wanted);
    if (at !== -1) return at === 0 ? 0 : 1;
    return wanted && description.toLowerCase().includes(wanted) ? 2 : 3;
  };
  return commands
    .map((command) => ({ command, rank: rank(command) }))
    .filter((entry) => entry.rank < 3)
    .sort((one, other) => one.rank - other.rank)
    .map((entry) => entry.command);
}

/** `symbol:SPX expiry:0dte`, or values in order, as a map from option to what was typed. */
export function splitOptions(rest, options) {
  const typed = new Map();
  const named = new RegExp(`(?:^|\\s)(${options.map(({ name }) => name).join("|") || "(?!)"}):\\s*`, "gu");
  const marks = [...rest.matchAll(named)];
  const bare = rest.slice(0, marks[0]?.index ?? rest.length).trim();
  if (bare) fillInOrder(bare, options, typed);
  marks.forEach((mark, index) => {
    const value = rest.slice(mark.index + mark[0].length, marks[index + 1]?.index ?? rest.length).trim();
    typed.set(optionNamed(options, mark[1]), value);
  });
  return typed;
}

export const optionNamed = (options, name) => options.find((option) => option.name === name);

/** Words go to the first option until one fits the next option's choices or kind. */
function fillInOrder(text, options, typed) {
  let at = 0;
  for (const word of text.split(/\s+/)) {
    const current = options[at];
    const next = options[at + 1];
    if (!current) return;
    const moves = typed.has(current) && next && isClosed(next) && read(next, word).error === undefined;
    if (moves) at += 1;
    const before = typed.get(options[at]);
    typed.set(options[at], before === undefined ? word : `${before} ${word}`);
  }
}

const isClosed = (option) => Boolean(option.choices?.length) || option.type !== STRING;

/** What an option accepts as fixed answers, empty when anything goes. */
export function choicesOf(option, state) {
  if (option.choices?.length) return option.choices;
  if (option.type === BOOLEAN)
    return [
      { name: "True", value: true },
      { name: "False", value: false },
    ];
  if (option.type === USER && state)
    return [...state.people, state.bot].map((user) => ({ name: user.username, value: user.id }));
  if (option.type === CHANNEL && state) {
    return state.channels.filter(({ guild }) => guild).map((channel) => ({ name: channel.name, value: channel.id }));
  }
  return [];
}

/** {value} of what was typed for an option, or {error} in words. */
export function read(option, text, state) {
  const typed = text.trim();
  if (!typed) return option.required ? { error: `${option.name} is required` } : {};
  const choices = choicesOf(option, state);
  if (choices.length) {
    const wanted = typed.replace(/^[@#]/, "").toLowerCase();
    const choice = choices.find(({ name, value }) =>
      [name.toLowerCase(), String(value).toLowerCase()].includes(wanted),
    );
    return choice ? { value: choice.value } : { error: `${option.name} must be one of the options in the list` };
  }
  if (option.type === INTEGER || option.type === NUMBER) return readNumber(option, typed);
  const { min_length: least = 0, max_length: most = 6000 } = option;
  if (typed.length < least || typed.length > most)
    return { error: `${option.name} must be ${least} to ${most} characters long` };
  return { value: typed };
}

function readNumber(option, typed) {
  const whole = option.type === INTEGER;
  if (!(whole ? /^[-+]?\d+$/ : /^[-+]?(\d+\.?\d*|\.\d+)$/).test(typed)) {
    return { error: `${option.name} must be a ${whole ? "whole number" : "number"}` };
  }
  const value = Number(typed);
  const { min_value: least = -(2 ** 53), max_value: most = 2 ** 53 } = option;
  return value < least || value > most ? { error: `${option.name} must be between ${least} and ${most}` } : { value };
}

/** The `data` of an interaction; `values` maps options to values, `focused` is the option being typed. */
export function interactionData(command, values, focused) {
  let options = [...values].map(([option, value]) => ({
    name: option.name,
    type: option.type,
    value,
    ...(option === focused ? { focused: true } : {}),
  }));
  for (const { name, type } of command.path.slice(1).reverse()) options = [{ name, type, options }];
  return { id: command.id, name: command.path[0].name, type: 1, options };
}

/** The command as one line of text. */
export function asLine(command, typed) {
  return [`/${command.name}`, ...[...typed].map(([option, text]) => `${option.name}:${text}`)].join(" ");
}
