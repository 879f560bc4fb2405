"""The other end of TestScapy: protects and validates frames with scapy's MACsec.

Reads a JSON list of cases from stdin and writes a JSON list of results to
stdout: {"out": hex} or {"error": text}. A case has op (protect or validate),
frame, key, sci, salt (hex), an, pn, ssci, offset, encrypt and xpn.
Needs Debian's python3-scapy and python3-cryptography.
"""
import json
import logging
import sys

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.compat import raw  # noqa: E402
from scapy.contrib.macsec import MACsecSA  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402


def work(case):
    frame = bytes.fromhex(case["frame"])
    sa = MACsecSA(
        sci=bytes.fromhex(case["sci"]), an=case["an"], pn=case["pn"],
        key=bytes.fromhex(case["key"]), icvlen=16, encrypt=case["encrypt"],
        send_sci=True, xpn_en=case["xpn"], ssci=case["ssci"],
        salt=bytes.fromhex(case["salt"]))
    head = 28 + case["offset"]
    if case["op"] == "protect":
        # Not dissected further, so that scapy changes nothing above Ethernet.
        packet = Ether(dst=frame[:6], src=frame[6:12],
                       type=int.from_bytes(frame[12:14], "big")) / Raw(frame[14:])
        return raw(sa.encrypt(sa.encap(packet), assoclen=head))
    # A short frame: the readable octets end before the ICV.
    return raw(sa.decap(sa.decrypt(Ether(frame), assoclen=min(head, len(frame) - 16))))


results = []
for case in json.load(sys.stdin):
    try:
        results.append({"out": work(case).hex()})
    except Exception as e:  # the test prints it
        results.append({"error": repr(e)})
json.dump(results, sys.stdout)
