"""The contenders by their names."""

from scripts.benchmark.contenders import Contender
from scripts.benchmark.contenders.mosquitto import Mosquitto
from scripts.benchmark.contenders.naive import Naive
from scripts.benchmark.contenders.ours import Ours
from scripts.benchmark.contenders.postgresql import Postgresql
from scripts.benchmark.contenders.redis import Redis
from scripts.benchmark.load.crowd import CROWD

_ALL: tuple[Contender, ...] = (Ours(), Ours("tokens", CROWD), Naive(), Redis(), Postgresql(), Mosquitto())

CONTENDERS = {one.name: one for one in _ALL}
