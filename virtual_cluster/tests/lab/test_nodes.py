"""What a kubelet does for its Node, seen from the API server."""

from __future__ import annotations

import json

from virtual_cluster.tests.rig import LabRig, await_that


def test_a_pi_that_was_marked_unknown_is_ready_again_soon(lab: LabRig) -> None:
    # As the node controller does it after an outage of the API server in which the Pi's Lease ran out.
    unknown = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status.",
    }
    patch = json.dumps({"status": {"conditions": [unknown]}})
    lab.kubectl("patch", "node", "pi-2", "--subresource=status", "--type=strategic", f"--patch={patch}")
    await_that(lambda: lab.is_ready("pi-2"), "pi-2 is Ready again")
