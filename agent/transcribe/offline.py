"""Keeps the libraries under speech models off the network (DESIGN I8): some ask a hub for files, one reports home."""

import os


def go_offline() -> None:
    """Tell every such library in this process that there is no network. Call before the first import of any.

    onnxruntime (1.29 and later) otherwise sends telemetry from its import on, and keeps a device id and a database
    below the home of whoever runs it.
    """
    for switch in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TRANSFORMERS_OFFLINE", "ORT_DISABLE_TELEMETRY"):
        os.environ[switch] = "1"
