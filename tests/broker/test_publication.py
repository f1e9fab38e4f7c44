"""A message is encoded as amqtt would, whatever its length."""

import pytest
from amqtt.mqtt.publish import PublishPacket

from appliance.broker.embedded.publication import Publication

TOPIC = "stock/v1/shop/balance/молоко"


@pytest.mark.parametrize("size", [0, *range(88, 94), *range(16_344, 16_350), 256 * 1024])
def test_packet_is_the_one_that_amqtt_makes(size: int) -> None:
    payload = b"x" * size
    publication = Publication(TOPIC, payload, 1)
    qos_0 = PublishPacket.build(TOPIC, payload, None, False, 0, False).to_bytes()
    assert publication.at_most_once == qos_0
    for packet_id, dup in ((1, False), (65_535, True)):
        qos_1 = PublishPacket.build(TOPIC, payload, packet_id, dup, 1, False).to_bytes()
        assert publication.at_least_once(packet_id, dup=dup) == qos_1
