"""A phone of pjsua2 that calls the recorder and presses keys (RFC 4733) during the call: PORT NUMBER KEYS [KEYS …].

Before each of KEYS a line `ready` is written, and a line is waited for.
"""

import os
import select
import sys
import time
from typing import NoReturn

import pjsua2 as pj


class Call(pj.Call):
    """`talks` once there is media; `over` when it has ended."""

    talks = over = False

    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        self.over = self.getInfo().state == pj.PJSIP_INV_STATE_DISCONNECTED

    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        self.talks = True


def main(port: str, number: str, *turns: str) -> NoReturn:
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.uaConfig.threadCnt = 0
    config.medConfig.noVad = True
    config.medConfig.sndAutoCloseTime = -1  # its clock goes on though nothing is played
    endpoint.libInit(config)
    endpoint.audDevManager().setNullDev()
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, pj.TransportConfig())
    endpoint.libStart()
    mine = pj.AccountConfig()
    mine.idUri = f"sip:{number}@127.0.0.1"
    account = pj.Account()
    account.create(mine)
    call = Call(account)
    call.makeCall(f"sip:recorder@127.0.0.1:{port}", pj.CallOpParam(True))

    def until(done, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while not done() and time.monotonic() < deadline:
            endpoint.libHandleEvents(20)

    until(lambda: call.talks or call.over, 30)
    for keys in turns:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        until(lambda: call.over or select.select([sys.stdin], [], [], 0)[0], 120)
        sys.stdin.readline()
        call.dialDtmf(keys)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    until(lambda: call.over or select.select([sys.stdin], [], [], 0)[0], 120)
    call.hangup(pj.CallOpParam())
    until(lambda: call.over, 10)
    os._exit(0)  # its destructors do not like the interpreter's order


if __name__ == "__main__":
    main(*sys.argv[1:])
