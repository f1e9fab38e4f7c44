"""The scenarios of the Eclipse paho interoperability suite for MQTT 3.1.1, on mosquitto and on our embedded broker.

Written anew on the contract's topics, because ours serves no others: where the suite publishes to any topic a device
publishes its own `state`, which everybody may read. README.md says which scenarios the brokers answer differently.
"""
