"""Components and modals: their limits, and the shape in which Discord gives them back."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sandbox.discord.rules import Form, Path, check_media, empty_message
from sandbox.discord.world import Json

ROW, BUTTON, STRING_SELECT, TEXT_INPUT, USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT = range(1, 9)
SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR = range(9, 15)
CONTAINER, LABEL, UPLOAD, RADIO, CHECKBOXES, CHECKBOX = 17, 18, 19, 21, 22, 23
SELECTS = {STRING_SELECT, USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT}

LINK, PREMIUM = 5, 6
FOREIGN: dict[Any, tuple[str, ...]] = {LINK: ("custom_id", "sku_id"), PREMIUM: ("custom_id", "url", "label", "emoji")}
ROWS = 5
V2_COMPONENTS = 40
V2_CHARACTERS = 4000
LINK_LENGTH = 512

TOP_V1 = {ROW}
TOP_V2 = {ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR, CONTAINER}
IN_CONTAINER = TOP_V2 - {CONTAINER}
TOP_MODAL = {ROW, TEXT, LABEL}
IN_LABEL = SELECTS | {TEXT_INPUT, UPLOAD, RADIO, CHECKBOXES, CHECKBOX}


@dataclass
class _Check:
    """One walk over the components of a message or a modal."""

    form: Form
    files: Collection[str] = ()
    custom_ids: set[str] = field(default_factory=set)
    ids: set[int] = field(default_factory=set)
    referenced: set[str] = field(default_factory=set)
    characters: int = 0
    seen: int = 0

    def children(self, path: Path, value: Any, allowed: Collection[int], most: int, *, least: int = 1) -> None:
        for at, component in self.form.objects(path, value, most, least=least):
            self.component(at, component, allowed)

    def component(self, path: Path, component: Json, allowed: Collection[int]) -> None:
        kind = component.get("type")
        if not isinstance(kind, int) or kind not in allowed:
            shown = ", ".join(map(str, sorted(allowed)))
            words = f'Value of field "type" must be one of ({shown}).'
            self.form.fault((*path, "type"), "UNION_TYPE_CHOICES", words)
            return
        self.seen += 1
        self._number(path, component.get("id"))
        CHECKS[kind](self, path, component)

    def _number(self, path: Path, number: Any) -> None:
        self.form.whole((*path, "id"), number, 0, (1 << 31) - 1)
        if number and number in self.ids:
            self.form.fault((*path, "id"), "COMPONENT_ID_DUPLICATED", "Component id cannot be duplicated")
        if isinstance(number, int):
            self.ids.add(number)

    def custom_id(self, path: Path, component: Json) -> None:
        path = (*path, "custom_id")
        name = self.form.text(path, component.get("custom_id"), 100, least=1, required=True)
        if name and name in self.custom_ids:
            self.form.fault(path, "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
        self.custom_ids.add(name)

    def media(self, path: Path, item: Any) -> None:
        url = item.get("url") if isinstance(item, dict) else None
        if self.form.required((*path, "url"), url):
            check_media(self.form, (*path, "url"), url, self.files)
            self.referenced.add(str(url).removeprefix("attachment://"))


def _row(check: _Check, path: Path, row: Json) -> None:
    path = (*path, "components")
    children = [child for child in row.get("components") or () if isinstance(child, dict)]
    if any(child.get("type") in SELECTS | {TEXT_INPUT} for child in children) and len(children) > 1:
        words = "The specified component exceeds the maximum width"
        check.form.fault((*path, 1), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", words)
    check.children(path, row.get("components"), SELECTS | {BUTTON, TEXT_INPUT}, 5)


def _button(check: _Check, path: Path, button: Json) -> None:
    form, style = check.form, button.get("style")
    if not form.one_of((*path, "style"), style, range(1, 7)):
        return
    form.text((*path, "label"), button.get("label"), 80)
    form.flag((*path, "disabled"), button.get("disabled"))
    if style == LINK:
        if form.required((*path, "url"), button.get("url")):
            form.url((*path, "url"), button["url"], LINK_LENGTH, ("http", "https", "discord"))
    elif style == PREMIUM:
        form.required((*path, "sku_id"), button.get("sku_id"))
    else:
        check.custom_id(path, button)
    for name in FOREIGN.get(style, ("url", "sku_id")):
        if button.get(name):
            words = f"A button of style {style} cannot have {name}"
            form.fault((*path, name), "BUTTON_COMPONENT_FIELD_NOT_ALLOWED", words)
    if style != PREMIUM and not button.get("label") and not button.get("emoji"):
        form.fault((*path, "label"), "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A button needs a label or an emoji")


def _select(check: _Check, path: Path, select: Json) -> None:
    form = check.form
    check.custom_id(path, select)
    form.text((*path, "placeholder"), select.get("placeholder"), 150)
    form.whole((*path, "min_values"), select.get("min_values"), 0, 25)
    form.whole((*path, "max_values"), select.get("max_values"), 1, 25)
    least, most = select.get("min_values", 1), select.get("max_values", 1)
    if isinstance(least, int) and isinstance(most, int) and least > most:
        form.fault((*path, "min_values"), "SELECT_COMPONENT_MIN_VALUES", "min_values must not exceed max_values")
    if select["type"] == STRING_SELECT:
        _options(form, path, select, most)


def _options(form: Form, path: Path, select: Json, most: Any) -> None:
    values: set[Any] = set()
    defaults = 0
    for at, option in form.objects((*path, "options"), select.get("options"), 25, least=1):
        form.text((*at, "label"), option.get("label"), 100, required=True)
        value = form.text((*at, "value"), option.get("value"), 100, required=True)
        form.text((*at, "description"), option.get("description"), 100)
        if value in values:
            words = "The specified option value is already used"
            form.fault((*at, "value"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", words)
        values.add(value)
        defaults += bool(option.get("default"))
    if isinstance(most, int) and defaults > most:
        words = "Number of default options exceeds max_values"
        form.fault((*path, "options"), "SELECT_COMPONENT_TOO_MANY_DEFAULT_OPTIONS", words)


def _text_input(check: _Check, path: Path, entry: Json) -> None:
    form = check.form
    check.custom_id(path, entry)
    form.one_of((*path, "style"), entry.get("style"), (1, 2))
    form.text((*path, "placeholder"), entry.get("placeholder"), 100)
    form.text((*path, "value"), entry.get("value"), 4000)
    form.text((*path, "label"), entry.get("label"), 45)
    form.whole((*path, "min_length"), entry.get("min_length"), 0, 4000)
    form.whole((*path, "max_length"), entry.get("max_length"), 1, 4000)


def _label(check: _Check, path: Path, label: Json) -> None:
    check.form.text((*path, "label"), label.get("label"), 45, required=True)
    check.form.text((*path, "description"), label.get("description"), 100)
    component = label.get("component")
    if isinstance(component, dict):
        check.component((*path, "component"), component, IN_LABEL)
    else:
        check.form.required((*path, "component"), None)


def _section(check: _Check, path: Path, section: Json) -> None:
    check.children((*path, "components"), section.get("components"), {TEXT}, 3)
    accessory = section.get("accessory")
    if isinstance(accessory, dict):
        check.component((*path, "accessory"), accessory, {BUTTON, THUMBNAIL})
    else:
        check.form.required((*path, "accessory"), None)


def _text(check: _Check, path: Path, text: Json) -> None:
    check.characters += len(check.form.text((*path, "content"), text.get("content"), V2_CHARACTERS, required=True))


def _thumbnail(check: _Check, path: Path, thumbnail: Json) -> None:
    check.form.text((*path, "description"), thumbnail.get("description"), 1024)
    check.media((*path, "media"), thumbnail.get("media"))


def _gallery(check: _Check, path: Path, gallery: Json) -> None:
    for at, item in check.form.objects((*path, "items"), gallery.get("items"), 10, least=1):
        check.form.text((*at, "description"), item.get("description"), 1024)
        check.media((*at, "media"), item.get("media"))


def _file(check: _Check, path: Path, file: Json) -> None:
    check.media((*path, "file"), file.get("file"))


def _separator(check: _Check, path: Path, separator: Json) -> None:
    check.form.one_of((*path, "spacing"), separator.get("spacing", 1), (1, 2))


def _container(check: _Check, path: Path, container: Json) -> None:
    check.form.whole((*path, "accent_color"), container.get("accent_color"), 0, 0xFFFFFF)
    check.children((*path, "components"), container.get("components"), IN_CONTAINER, V2_COMPONENTS)


def _choice(check: _Check, path: Path, choice: Json) -> None:
    check.custom_id(path, choice)


CHECKS: dict[int, Callable[[_Check, Path, Json], None]] = {
    ROW: _row,
    BUTTON: _button,
    **dict.fromkeys(SELECTS, _select),
    TEXT_INPUT: _text_input,
    SECTION: _section,
    TEXT: _text,
    THUMBNAIL: _thumbnail,
    GALLERY: _gallery,
    FILE: _file,
    SEPARATOR: _separator,
    CONTAINER: _container,
    LABEL: _label,
    **dict.fromkeys((UPLOAD, RADIO, CHECKBOXES, CHECKBOX), _choice),
}


def check_components(form: Form, components: Any, files: Collection[str]) -> None:
    """The older layout: up to five rows of five buttons or one select."""
    _Check(form, files).children(("components",), components, TOP_V1, ROWS, least=0)


def check_components_v2(form: Form, components: Any, files: Collection[str]) -> None:
    """The free layout: 40 components and 4,000 characters in all, and every file must be shown by a component."""
    check = _Check(form, files)
    check.children(("components",), components, TOP_V2, V2_COMPONENTS, least=0)
    if check.seen > V2_COMPONENTS:
        words = f"The maximum number of components is {V2_COMPONENTS}"
        form.fault(("components",), "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", words)
    if check.characters > V2_CHARACTERS:
        words = f"The displayable text exceeds the maximum size of {V2_CHARACTERS}"
        form.fault(("components",), "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", words)
    for name in sorted(set(files) - check.referenced):
        words = f"The attachment {name} is not referenced by any component"
        form.fault(("attachments",), "MESSAGE_ATTACHMENT_NOT_REFERENCED", words)
    if not components and not form.errors:
        raise empty_message()


def check_modal(form: Form, modal: Json) -> None:
    """Title up to 45, one to five components, each named by its own custom id."""
    form.text(("data", "title"), modal.get("title"), 45, required=True)
    form.text(("data", "custom_id"), modal.get("custom_id"), 100, required=True)
    _Check(form).children(("data", "components"), modal.get("components"), TOP_MODAL, 5)


def walk(components: list[Json]) -> Iterator[Json]:
    """Every component, parents before their children, in the order in which Discord numbers them."""
    for component in components:
        yield component
        yield from walk(component.get("components") or [])
        for name in ("accessory", "component"):
            if component.get(name):
                yield from walk([component[name]])


Unfurl = Callable[[str], Json]


def shaped(components: list[Json], unfurl: Unfurl) -> list[Json]:
    """Components as Discord returns them: numbered, with defaults, and with media resolved by `unfurl`."""
    return numbered([_copy(component, unfurl) for component in components])


def numbered(components: list[Json]) -> list[Json]:
    """The same components, those without an id numbered in their order."""
    taken = {component["id"] for component in walk(components) if component.get("id")}
    free = (number for number in count(1) if number not in taken)
    for component in walk(components):
        if not component.get("id"):
            component["id"] = next(free)
    return components


def filled(component: Json, given: dict[str, Json]) -> Json:
    """A component of a form as it is sent back, with what was entered by custom id."""
    sent: Json = {"type": component["type"], "id": component["id"]}
    if "components" in component:
        return sent | {"components": [filled(child, given) for child in component["components"]]}
    if "component" in component:
        return sent | {"component": filled(component["component"], given)}
    if "custom_id" not in component:
        return sent | {"content": component["content"]}
    entered = given[component["custom_id"]]
    values = {name: entered[name] for name in ("value", "values") if name in entered}
    return sent | {"custom_id": component["custom_id"]} | values


DEFAULTS: dict[int, Json] = {
    **{kind: {"min_values": 1, "max_values": 1} for kind in SELECTS},
    TEXT_INPUT: {"label": None, "min_length": None, "max_length": None},
    THUMBNAIL: {"description": None, "spoiler": False},
    FILE: {"name": None, "size": None, "spoiler": False},
    SEPARATOR: {"spacing": 1, "divider": True},
    CONTAINER: {"accent_color": None, "spoiler": False},
}


def _copy(component: Json, unfurl: Unfurl) -> Json:
    copied: Json = DEFAULTS.get(component["type"], {}) | _given(component)
    if "components" in copied:
        copied["components"] = [_copy(child, unfurl) for child in copied["components"]]
    for name in ("accessory", "component"):
        if name in copied:
            copied[name] = _copy(copied[name], unfurl)
    for name in ("media", "file"):
        if name in copied:
            copied[name] = unfurl(copied[name]["url"])
    if "items" in copied:
        empty = {"description": None, "spoiler": False}
        copied["items"] = [empty | item | {"media": unfurl(item["media"]["url"])} for item in copied["items"]]
    return copied


def _given(value: Any) -> Any:
    """A copy without the nulls that clients send for what they leave out."""
    if isinstance(value, dict):
        return {key: _given(inner) for key, inner in value.items() if inner is not None}
    return [_given(inner) for inner in value] if isinstance(value, list) else value
