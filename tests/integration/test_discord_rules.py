"""What the stand-in refuses and where: the limits of Discord as pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.discord import rules
from sandbox.discord.callbacks import check_choices
from sandbox.discord.commands import check_all
from sandbox.discord.components import check_components, check_components_v2, check_modal, shaped, walk
from sandbox.discord.rules import Form, Refusal


def codes(form):
    """The faults as {"path.to.field": code}."""
    found = {}

    def visit(node, path):
        for key, value in node.items():
            if key == "_errors":
                found[".".join(path)] = value[0]["code"]
            else:
                visit(value, [*path, key])

    visit(form.errors, [])
    return found


def faults(check, *arguments):
    form = Form()
    check(form, *arguments)
    return codes(form)


def button(**changes):
    return {"type": 2, "style": 1, "label": "Press", "custom_id": "a"} | changes


def row(*components):
    return {"type": 1, "components": list(components)}


def select(**changes):
    return {"type": 3, "custom_id": "s", "options": [{"label": "One", "value": "1"}]} | changes


def test_nothing_wrong_is_not_refused():
    form = Form()
    rules.check_content(form, {"content": "hello", "flags": 64, "nonce": "n", "tts": False})
    rules.check_embeds(form, [{"title": "t", "color": 0xFF00FF, "timestamp": "2026-11-20T15:00:00Z"}], ())
    rules.check_allowed_mentions(form, {"parse": [], "users": ["1"]})
    check_components(form, [row(button(), button(custom_id="b")), row(select())], ())
    form.check()


def test_all_faults_are_refused_together():
    form = Form()
    form.text(("a", 0, "b"), "xx", 1)
    form.whole(("c",), 9, 1, 5)
    with pytest.raises(Refusal) as refused:
        form.check()
    assert refused.value.status == 400
    assert refused.value.body["code"] == 50035
    assert codes(form) == {"a.0.b": "BASE_TYPE_MAX_LENGTH", "c": "NUMBER_TYPE_MAX"}


@given(st.integers(0, 4100))
def test_content_is_up_to_2000_characters(length):
    assert bool(faults(rules.check_content, {"content": "x" * length})) == (length > 2000)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"content": 5}, {"content": "STRING_TYPE_CONVERT"}),
        ({"nonce": "n" * 26}, {"nonce": "BASE_TYPE_MAX_LENGTH"}),
        ({"nonce": 26}, {}),
        ({"tts": "yes"}, {"tts": "BOOLEAN_TYPE_CONVERT"}),
        ({"flags": "64"}, {"flags": "NUMBER_TYPE_COERCE"}),
    ],
)
def test_simple_fields(body, expected):
    assert faults(rules.check_content, body) == expected


@pytest.mark.parametrize(
    ("embed", "expected"),
    [
        ({"title": "x" * 257}, {"embeds.0.title": "BASE_TYPE_MAX_LENGTH"}),
        ({"description": "x" * 4097}, {"embeds.0.description": "BASE_TYPE_MAX_LENGTH"}),
        ({"color": 1 << 24}, {"embeds.0.color": "NUMBER_TYPE_MAX"}),
        ({"url": "ftp://x"}, {"embeds.0.url": "URL_TYPE_INVALID_SCHEME"}),
        ({"url": "https://"}, {"embeds.0.url": "URL_TYPE_INVALID_URL"}),
        ({"timestamp": "yesterday"}, {"embeds.0.timestamp": "DATETIME_TYPE_PARSE"}),
        ({"footer": {"text": "x" * 2049}}, {"embeds.0.footer.text": "BASE_TYPE_MAX_LENGTH"}),
        ({"author": {"name": ""}}, {"embeds.0.author.name": "BASE_TYPE_REQUIRED"}),
        ({"fields": [{"name": "n", "value": "x" * 1025}]}, {"embeds.0.fields.0.value": "BASE_TYPE_MAX_LENGTH"}),
        ({"fields": [{"name": "n", "value": "v"}] * 26}, {"embeds.0.fields": "BASE_TYPE_MAX_LENGTH"}),
        ({"image": {"url": "attachment://chart.png"}}, {}),
        (
            {"image": {"url": "attachment://other.png"}},
            {"embeds.0.image.url": "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND"},
        ),
    ],
)
def test_limits_of_an_embed(embed, expected):
    assert faults(rules.check_embeds, [embed], ["chart.png"]) == expected


def test_at_most_ten_embeds():
    assert faults(rules.check_embeds, [{"title": "t"}] * 11, ()) == {"embeds": "BASE_TYPE_MAX_LENGTH"}


@given(st.lists(st.integers(0, 4096), min_size=1, max_size=10))
def test_all_embeds_together_are_up_to_6000_characters(lengths):
    found = faults(rules.check_embeds, [{"description": "x" * length} for length in lengths], ())
    assert found == ({"embeds": "MAX_EMBED_SIZE_EXCEEDED"} if sum(lengths) > 6000 else {})


@pytest.mark.parametrize(
    ("mentions", "expected"),
    [
        ({"parse": ["everybody"]}, {"allowed_mentions.parse.0": "BASE_TYPE_CHOICES"}),
        ({"parse": ["users"], "users": ["1"]}, {"allowed_mentions": "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"}),
        ({"users": ["1"] * 101}, {"allowed_mentions.users": "BASE_TYPE_MAX_LENGTH"}),
        ([], {"allowed_mentions": "DICT_TYPE_CONVERT"}),
    ],
)
def test_allowed_mentions(mentions, expected):
    assert faults(rules.check_allowed_mentions, mentions) == expected


def test_attachments_describe_uploads_or_keep_what_is_there():
    listed = [{"id": 0, "description": "x" * 1025}, {"id": "77"}, {"id": 9}]
    assert faults(rules.check_attachments, listed, {"0"}, ["77"]) == {
        "attachments.0.description": "BASE_TYPE_MAX_LENGTH",
        "attachments.2.id": "MESSAGE_ATTACHMENT_NOT_FOUND",
    }


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        (
            [row({"type": 2, "style": 5, "label": "Go", "url": "https://x.y"})] * 6,
            {"components": "BASE_TYPE_MAX_LENGTH"},
        ),
        ([row()], {"components.0.components": "BASE_TYPE_BAD_LENGTH"}),
        ([button()], {"components.0.type": "UNION_TYPE_CHOICES"}),
        ([{"type": 10, "content": "x"}], {"components.0.type": "UNION_TYPE_CHOICES"}),
        ([row(button(), select())], {"components.0.components.1": "COMPONENT_LAYOUT_WIDTH_EXCEEDED"}),
        ([row(button(), button())], {"components.0.components.1.custom_id": "COMPONENT_CUSTOM_ID_DUPLICATED"}),
        ([row(button(custom_id="x" * 101))], {"components.0.components.0.custom_id": "BASE_TYPE_BAD_LENGTH"}),
        ([row(button(custom_id=None))], {"components.0.components.0.custom_id": "BASE_TYPE_REQUIRED"}),
        ([row(button(label="x" * 81))], {"components.0.components.0.label": "BASE_TYPE_MAX_LENGTH"}),
        ([row(button(label=None))], {"components.0.components.0.label": "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED"}),
        ([row(button(label=None, emoji={"name": "📈"}))], {}),
        ([row(button(style=7))], {"components.0.components.0.style": "BASE_TYPE_CHOICES"}),
        ([row(button(url="https://x.y"))], {"components.0.components.0.url": "BUTTON_COMPONENT_FIELD_NOT_ALLOWED"}),
        ([row({"type": 2, "style": 5, "label": "Go", "url": "https://x.y"})], {}),
        (
            [row({"type": 2, "style": 5, "label": "Go", "url": "https://x.y/" + "a" * 501})],
            {"components.0.components.0.url": "BASE_TYPE_MAX_LENGTH"},
        ),
        ([row({"type": 2, "style": 5, "label": "Go"})], {"components.0.components.0.url": "BASE_TYPE_REQUIRED"}),
        ([row({"type": 2, "style": 6, "sku_id": "1"})], {}),
        ([row(select(options=[]))], {"components.0.components.0.options": "BASE_TYPE_BAD_LENGTH"}),
        (
            [row(select(options=[{"label": "a", "value": "1"}, {"label": "b", "value": "1"}]))],
            {"components.0.components.0.options.1.value": "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED"},
        ),
        ([row(select(placeholder="x" * 151))], {"components.0.components.0.placeholder": "BASE_TYPE_MAX_LENGTH"}),
        (
            [row(select(min_values=3, max_values=2))],
            {"components.0.components.0.min_values": "SELECT_COMPONENT_MIN_VALUES"},
        ),
        ([row(select(max_values=26))], {"components.0.components.0.max_values": "NUMBER_TYPE_MAX"}),
        (
            [row(button(id=1), button(custom_id="b", id=1))],
            {"components.0.components.1.id": "COMPONENT_ID_DUPLICATED"},
        ),
        (["row"], {"components.0": "DICT_TYPE_CONVERT"}),
    ],
)
def test_limits_of_components(components, expected):
    assert faults(check_components, components, ()) == expected


def test_six_buttons_do_not_fit_a_row():
    wide = row(*(button(custom_id=str(number)) for number in range(6)))
    assert faults(check_components, [wide], ()) == {"components.0.components": "BASE_TYPE_BAD_LENGTH"}


def text(content="x"):
    return {"type": 10, "content": content}


@pytest.mark.parametrize(
    ("components", "files", "expected"),
    [
        ([text()] * 40, (), {}),
        ([{"type": 17, "components": [text()] * 40}], (), {"components": "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED"}),
        ([text("x" * 2001)] * 2, (), {"components": "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"}),
        (
            [{"type": 17, "components": [{"type": 17, "components": [text()]}]}],
            (),
            {"components.0.components.0.type": "UNION_TYPE_CHOICES"},
        ),
        ([{"type": 9, "components": [text()]}], (), {"components.0.accessory": "BASE_TYPE_REQUIRED"}),
        ([{"type": 9, "components": [text()], "accessory": button()}], (), {}),
        ([text()], ["chart.png"], {"attachments": "MESSAGE_ATTACHMENT_NOT_REFERENCED"}),
        ([{"type": 12, "items": [{"media": {"url": "attachment://chart.png"}}]}], ["chart.png"], {}),
        ([{"type": 13, "file": {"url": "attachment://chart.png"}}], ["chart.png"], {}),
        ([{"type": 14, "spacing": 3}], (), {"components.0.spacing": "BASE_TYPE_CHOICES"}),
        ([{"type": 18, "label": "x"}], (), {"components.0.type": "UNION_TYPE_CHOICES"}),
    ],
)
def test_limits_of_the_free_layout(components, files, expected):
    assert faults(check_components_v2, components, files) == expected


def test_the_free_layout_stands_alone_and_is_not_empty():
    assert faults(rules.check_components_v2_alone, {"content": "x", "embeds": [{}]}) == dict.fromkeys(
        ("content", "embeds"), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
    )
    with pytest.raises(Refusal) as refused:
        check_components_v2(Form(), [], ())
    assert refused.value.body["code"] == 50006


def field(**changes):
    return {"type": 18, "label": "Level", "component": {"type": 4, "custom_id": "level", "style": 1} | changes}


@pytest.mark.parametrize(
    ("modal", "expected"),
    [
        ({}, {}),
        ({"title": "x" * 46}, {"data.title": "BASE_TYPE_MAX_LENGTH"}),
        ({"title": ""}, {"data.title": "BASE_TYPE_REQUIRED"}),
        ({"custom_id": "x" * 101}, {"data.custom_id": "BASE_TYPE_MAX_LENGTH"}),
        ({"components": []}, {"data.components": "BASE_TYPE_BAD_LENGTH"}),
        ({"components": [text()] * 6}, {"data.components": "BASE_TYPE_BAD_LENGTH"}),
        (
            {"components": [field(), field()]},
            {"data.components.1.component.custom_id": "COMPONENT_CUSTOM_ID_DUPLICATED"},
        ),
        ({"components": [field(style=3)]}, {"data.components.0.component.style": "BASE_TYPE_CHOICES"}),
        ({"components": [field(max_length=4001)]}, {"data.components.0.component.max_length": "NUMBER_TYPE_MAX"}),
        ({"components": [field() | {"label": "x" * 46}]}, {"data.components.0.label": "BASE_TYPE_MAX_LENGTH"}),
        ({"components": [{"type": 18, "label": "x"}]}, {"data.components.0.component": "BASE_TYPE_REQUIRED"}),
    ],
)
def test_limits_of_a_form(modal, expected):
    assert faults(check_modal, {"title": "Alert", "custom_id": "m", "components": [field()]} | modal) == expected


def test_suggestions_may_be_none_but_must_be_named():
    assert check_choices({"choices": []}) == []
    with pytest.raises(Refusal):
        check_choices({})


def test_components_come_back_numbered_with_defaults():
    given_ = [row(button(), button(custom_id="b", id=1)), row(select())]
    back = shaped(given_, lambda url: {"url": url})
    assert [component["id"] for component in walk(back)] == [2, 3, 1, 4, 5]
    assert (back[1]["components"][0]["min_values"], back[1]["components"][0]["max_values"]) == (1, 1)
    assert "id" not in given_[0]


def command(**changes):
    return {"name": "quote", "description": "Quote", "type": 1} | changes


def option(**changes):
    return {"type": 3, "name": "symbol", "description": "Which"} | changes


def command_faults(*commands):
    try:
        check_all(list(commands))
    except Refusal as refused:
        form = Form()
        form.errors = refused.body.get("errors", {})
        return codes(form) or refused.body["code"]
    return {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"name": "Quote"}, {"0.name": "APPLICATION_COMMAND_INVALID_NAME"}),
        ({"name": "quo te"}, {"0.name": "APPLICATION_COMMAND_INVALID_NAME"}),
        ({"name": "x" * 33}, {"0.name": "BASE_TYPE_BAD_LENGTH"}),
        ({"name": "気配"}, {}),
        ({"description": ""}, {"0.description": "BASE_TYPE_REQUIRED"}),
        ({"description": "x" * 101}, {"0.description": "BASE_TYPE_BAD_LENGTH"}),
        ({"name_localizations": {"de": "kurs", "xx": "x"}}, {"0.name_localizations.xx": "LOCALE_TYPE_INVALID"}),
        ({"contexts": [3]}, {"0.contexts.0": "BASE_TYPE_CHOICES"}),
        ({"integration_types": [2]}, {"0.integration_types.0": "BASE_TYPE_CHOICES"}),
        ({"options": [option(type=12)]}, {"0.options.0.type": "BASE_TYPE_CHOICES"}),
        ({"options": [option(name=f"o{n}") for n in range(26)]}, {"0.options": "BASE_TYPE_MAX_LENGTH"}),
        ({"options": [option(), option()]}, {"0.options.1.name": "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS"}),
        (
            {"options": [option(), option(name="b", required=True)]},
            {"0.options.1": "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID"},
        ),
        (
            {"options": [option(type=1), option(name="b")]},
            {"0.options": "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID"},
        ),
        (
            {"options": [option(choices=[{"name": str(n), "value": str(n)} for n in range(26)])]},
            {"0.options.0.choices": "BASE_TYPE_MAX_LENGTH"},
        ),
        (
            {"options": [option(type=4, choices=[{"name": "big", "value": 2**53 + 1}])]},
            {"0.options.0.choices.0.value": "NUMBER_TYPE_MAX"},
        ),
        (
            {"options": [option(autocomplete=True, choices=[{"name": "a", "value": "a"}])]},
            {"0.options.0.autocomplete": "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID"},
        ),
        (
            {"options": [option(type=6, autocomplete=True)]},
            {"0.options.0.choices": "APPLICATION_COMMAND_OPTIONS_CHOICES_INVALID"},
        ),
        ({"type": 3, "name": "Inspect This", "description": ""}, {}),
        ({"type": 2, "name": "Who"}, {"0.description": "APPLICATION_COMMAND_INVALID_DESCRIPTION"}),
    ],
)
def test_limits_of_a_command(changes, expected):
    assert command_faults(command(**changes)) == expected


def test_limits_of_a_set_of_commands():
    assert command_faults(command(), command()) == {"1.name": "APPLICATION_COMMANDS_DUPLICATE_NAME"}
    assert command_faults(command(), command(type=3, description="")) == {}
    assert command_faults(*(command(name=f"c{n}") for n in range(101))) == 30032
    assert command_faults(*(command(name=f"c{n}", type=3, description="") for n in range(16))) == 30032
    long = [{"name": "n" * 100, "value": "v" * 100} for _ in range(25)]
    wide = [option(name=f"o{n}", choices=long) for n in range(2)]
    assert command_faults(command(options=wide)) == {"0": "APPLICATION_COMMAND_TOO_LARGE"}
