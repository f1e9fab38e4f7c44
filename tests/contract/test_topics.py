"""Topics: every SKU has one of its own, and a device's topic says who published and where."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.contract.delivery import Channel
from appliance.contract.limits import SKU_BYTES_MAX
from appliance.contract.topics import Topics, check_sku, decode_sku, encode_sku, is_name
from appliance.stock.errors import Rejected

TOPICS = Topics("shop")

# Any text that JSON can carry in UTF-8, with what breaks topics made likely.
TEXT = st.text(st.one_of(st.sampled_from("/+#%$ \x00\x1f\x7f\x9f\ufffeéМ"), st.characters(exclude_categories=["Cs"])))
SKU = TEXT.filter(lambda sku: 0 < len(sku.encode()) <= SKU_BYTES_MAX)

# [MQTT-1.5.3]: a receiver may close the connection over control characters and noncharacters in a UTF-8 string.
CONTROLS = {*range(0x20), *range(0x7F, 0xA0)}
NONCHARACTERS = {*range(0xFDD0, 0xFDF0), *(plane << 16 | last for plane in range(17) for last in (0xFFFE, 0xFFFF))}


@given(SKU)
@example("%41")
@example("%")
@example("/")
def test_a_sku_comes_back_from_its_topic(sku: str) -> None:
    assert decode_sku(encode_sku(sku)) == sku


@given(SKU, SKU)
@example("%2F", "/")
@example("a%", "a%25")
def test_two_skus_never_share_a_topic(one: str, other: str) -> None:
    assert (TOPICS.balance(one) == TOPICS.balance(other)) == (one == other)


@given(SKU)
def test_an_encoded_sku_is_one_legal_topic_level(sku: str) -> None:
    level = encode_sku(sku)
    assert level
    assert not set(level) & set("/+#")
    assert not {ord(character) for character in level} & (CONTROLS | NONCHARACTERS)


@pytest.mark.parametrize("code", sorted(CONTROLS | NONCHARACTERS))
def test_a_character_that_a_broker_may_refuse_is_encoded(code: int) -> None:
    level = encode_sku(chr(code))
    assert level == "".join(f"%{byte:02X}" for byte in chr(code).encode())
    assert decode_sku(level) == chr(code)


@given(TEXT)
@example("%2f")
@example("%41")
@example("%FF")
@example("%")
@example("a/b")
def test_a_level_is_decoded_only_when_a_sku_has_it(level: str) -> None:
    try:
        sku = decode_sku(level)
    except ValueError:
        return
    assert encode_sku(sku) == level


@pytest.mark.parametrize("level", ["%2f", "%41", "%FF", "%", "%4", "a/b", "a+"])
def test_a_level_that_no_sku_has_is_refused(level: str) -> None:
    with pytest.raises(ValueError, match=r"encoded|decode|codec"):
        decode_sku(level)


@pytest.mark.parametrize("sku", ["A", "é" * 64, "x" * 128, " ", "$SYS", "\x00"])
def test_any_text_of_1_to_128_bytes_is_a_sku(sku: str) -> None:
    assert check_sku(sku) == sku


@pytest.mark.parametrize(
    "value", ["", "x" * 129, "é" * 65, None, 1, True, ["A"], {"A": 1}, "x" * 100_000, [0] * 100_000]
)
def test_what_is_no_sku_is_rejected_in_a_short_sentence(value: object) -> None:
    with pytest.raises(Rejected) as raised:
        check_sku(value)
    assert raised.value.code == "bad-sku"
    assert len(raised.value.detail) < 200


@pytest.mark.parametrize("text", ["", "_shop", "a b", "a/b", "a+", "а", "1\n", "x" * 65, "²"])
def test_only_64_plain_characters_are_a_name(text: str) -> None:
    assert not is_name(text)
    with pytest.raises(ValueError, match="cannot name a shop"):
        Topics(text)


@pytest.mark.parametrize("text", ["shop", "A1", "-", "x" * 64])
def test_letters_digits_and_hyphens_are_a_name(text: str) -> None:
    assert is_name(text)
    assert Topics(text).root == f"stock/v1/{text}/"


@pytest.mark.parametrize("channel", Channel)
def test_a_device_s_own_topic_says_who_published(channel: Channel) -> None:
    assert TOPICS.sender(TOPICS.device("A1", channel)) == ("A1", channel)


@pytest.mark.parametrize(
    "topic",
    [
        "stock/v1/shop/device/A1/ack",
        "stock/v1/shop/device/A1/answer",
        "stock/v1/shop/device/A1/print",
        "stock/v1/shop/device/_shop/op",
        "stock/v1/shop/device//op",
        "stock/v1/shop/device/A1/op/x",
        "stock/v1/shop/device/op",
        "stock/v1/shop/Device/A1/op",
        "stock/v1/other/device/A1/op",
        "stock/v2/shop/device/A1/op",
        "device/A1/op",
        "stock/v1/shop/coordinator",
        "",
    ],
)
def test_no_other_topic_is_a_device_s_own(topic: str) -> None:
    assert TOPICS.sender(topic) is None


@given(TEXT)
def test_a_topic_is_a_device_s_own_only_as_the_code_builds_it(topic: str) -> None:
    for each in (topic, TOPICS.root + topic, TOPICS.root + "device/" + topic, TOPICS.root + f"device/{topic}/op"):
        found = TOPICS.sender(each)
        assert found is None or TOPICS.device(*found) == each
