"""From a slip of the contract to the sheet that a person holds."""

from appliance.contract.slip import Slip, format_slip, grouped
from appliance.printing.layout.blocks import Block
from appliance.printing.layout.slip import DeviceSlip, device_slip
from appliance.printing.layout.words import Language


def slip_sheet(slip: Slip, shop_name: str, language: Language, *, is_shops: bool = False) -> tuple[Block, ...]:
    """Return the blocks of a slip. shop_name: for people. is_shops: its token is the shop's password."""
    return device_slip(
        DeviceSlip(
            shop_name=shop_name,
            device=slip.device,
            shop=slip.shop,
            hosts=slip.hosts,
            port=slip.port,
            token=grouped(slip.token),
            sha256=grouped(slip.sha256.hex()),
            url=format_slip(slip),
            is_shops=is_shops,
        ),
        language,
    )
