# SPDX-License-Identifier: GPL-2.0-or-later
"""The group g1 of the usual site, placed by Pacemaker through Lunward's resource agents."""
import deployment as site
from lab import pacemaker
from lab.api import Lab

# Intervals and patience for emulated processors, as for the peer (tests/bench/peer.py).
RESOURCES = pacemaker.STONITH + """
<clone id="agent-clone"><meta_attributes id="ac-m"><nvpair id="ac-i" name="interleave" value="true"/></meta_attributes>
 <primitive id="agent" class="ocf" provider="lunward" type="agent"><operations>
  <op id="a-start" name="start" interval="0s" timeout="120s"/><op id="a-stop" name="stop" interval="0s" timeout="60s"/>
  <op id="a-mon" name="monitor" interval="30s" timeout="180s"/></operations></primitive></clone>
<clone id="g1-clone"><meta_attributes id="g-m"><nvpair id="g-p" name="promotable" value="true"/>
  <nvpair id="g-i" name="interleave" value="true"/><nvpair id="g-n" name="notify" value="false"/></meta_attributes>
 <primitive id="g1" class="ocf" provider="lunward" type="group">
  <instance_attributes id="g-a"><nvpair id="g-g" name="group" value="g1"/></instance_attributes><operations>
  <op id="g-start" name="start" interval="0s" timeout="60s"/><op id="g-stop" name="stop" interval="0s" timeout="120s"/>
  <op id="g-pro" name="promote" interval="0s" timeout="180s"/><op id="g-dem" name="demote" interval="0s" timeout="120s"/>
  <op id="g-m1" name="monitor" interval="29s" timeout="180s" role="Promoted"/>
  <op id="g-m2" name="monitor" interval="31s" timeout="180s" role="Unpromoted"/></operations></primitive></clone>
"""
CONSTRAINTS = """
<rsc_order id="g1-after-agent" kind="Mandatory" first="agent-clone" then="g1-clone"/>
<rsc_location id="g1-not-on-n3" rsc="g1-clone" node="n3" score="-INFINITY"/>
"""


def hand_over(lab: Lab, document: dict) -> None:
    """From `auto` to Pacemaker, which takes over what is served already."""
    document["groups"]["g1"]["placement"] = "pacemaker"
    site.apply(lab.n1, document)
    pacemaker.start(lab)
    pacemaker.configure(lab.n3, "configuration", f"<resources>{RESOURCES}</resources><constraints>{CONSTRAINTS}</constraints>")
