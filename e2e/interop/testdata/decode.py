"""Reads a capture of VXLAN with scapy, and opens the MACsec frames in it.

Arguments: the capture. The secure association comes as a JSON object on stdin:
key, sci, salt (hex), an, ssci, offset, encrypt, xpn. Writes a JSON list to
stdout, one object for each packet: vni, an, pn, and frame (hex) or error.
Needs Debian's python3-scapy and python3-cryptography.
"""
import json
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.compat import raw  # noqa: E402
from scapy.contrib.macsec import MACsec, MACsecSA  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402
from scapy.utils import rdpcap  # noqa: E402

case = json.load(sys.stdin)
sa = MACsecSA(
    sci=bytes.fromhex(case["sci"]), an=case["an"], pn=1,
    key=bytes.fromhex(case["key"]), icvlen=16, encrypt=case["encrypt"],
    send_sci=True, xpn_en=case["xpn"], ssci=case["ssci"],
    salt=bytes.fromhex(case["salt"]))


def work(packet):
    outer = packet[VXLAN]
    frame = raw(outer.payload)
    inner = Ether(frame)
    out = {"vni": outer.vni, "an": inner[MACsec].AN, "pn": inner[MACsec].PN}
    # A short frame: the readable octets end before the ICV.
    head = min(28 + case["offset"], len(frame) - 16)
    out["frame"] = raw(sa.decap(sa.decrypt(inner, assoclen=head))).hex()
    return out


results = []
for p in rdpcap(sys.argv[1]):
    try:
        results.append(work(p))
    except Exception as e:  # the test wants them, or prints them
        results.append({"error": repr(e)})
json.dump(results, sys.stdout)
