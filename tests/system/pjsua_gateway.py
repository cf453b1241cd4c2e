"""A call of pjsua2 over TLS with secure RTP, run by test_secure.py: PORT SUITE SOUND.wav CA CERTIFICATE KEY."""

import os
import sys
import time
from typing import NoReturn

import pjsua2 as pj


class Call(pj.Call):
    """Plays a file as soon as there is media; `over` when it has been heard or refused."""

    def __init__(self, account: pj.Account, sound: str) -> None:
        super().__init__(account)
        self.player = pj.AudioMediaPlayer()
        self.player.createPlayer(sound, pj.PJMEDIA_FILE_NO_LOOP)
        self.playing_since = 0.0
        self.status = 0
        self.over = False

    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        info = self.getInfo()
        self.status = info.lastStatusCode
        self.over = info.state == pj.PJSIP_INV_STATE_DISCONNECTED

    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        if not self.playing_since:
            self.player.startTransmit(self.getAudioMedia(-1))
            self.playing_since = time.monotonic()


def main(port: str, suite: str, sound: str, authority: str, certificate: str, key: str) -> NoReturn:
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.logConfig.consoleLevel = 4
    config.medConfig.clockRate = 8000
    config.medConfig.noVad = True
    endpoint.libInit(config)
    endpoint.audDevManager().setNullDev()
    tls = pj.TransportConfig()
    tls.tlsConfig.CaListFile, tls.tlsConfig.certFile, tls.tlsConfig.privKeyFile = authority, certificate, key
    tls.tlsConfig.verifyServer = True
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, tls)
    endpoint.libStart()
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith("PCMA") else 0)
    mine = pj.AccountConfig()
    mine.idUri = "sip:+33612345678@127.0.0.1;transport=tls"
    mine.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY
    mine.mediaConfig.srtpSecureSignaling = 1
    options = pj.SrtpOpt()
    options.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
    crypto = pj.SrtpCrypto()
    crypto.name = suite
    options.cryptos.append(crypto)
    mine.mediaConfig.srtpOpt = options
    account = pj.Account()
    account.create(mine)
    call = Call(account, sound)
    call.makeCall(f"sip:recorder@127.0.0.1:{port};transport=tls", pj.CallOpParam(True))
    deadline = time.monotonic() + 20
    while not call.over and time.monotonic() < deadline:
        endpoint.libHandleEvents(20)
        if call.playing_since and time.monotonic() - call.playing_since > 5:
            break
    good = call.playing_since > 0 and not call.over
    call.hangup(pj.CallOpParam())
    until = time.monotonic() + 5
    while not call.over and time.monotonic() < until:
        endpoint.libHandleEvents(20)
    sys.stdout.write(f"status {call.status}\n")
    sys.stdout.flush()
    os._exit(0 if good else 1)  # its destructors do not like the interpreter's order


if __name__ == "__main__":
    main(*sys.argv[1:])
