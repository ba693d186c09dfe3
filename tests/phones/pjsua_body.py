"""The phone itself, by pjsua2: runs with the Python that has it, told by lines on its input.

Its one argument is JSON: address, transport, id, home, log; port, registrar, user, secret,
authority and proxy where it has them.
It answers every call after a moment, says `speak.wav`, and writes what it hears to
`dump-N-dec.wav`. Each event is a line of JSON on its output.
"""

import json
import os
import select
import sys
import time

import pjsua2 as pj

ANSWERS_AFTER_SECONDS = 0.3
TRANSPORTS = {
    "udp": pj.PJSIP_TRANSPORT_UDP,
    "tcp": pj.PJSIP_TRANSPORT_TCP,
    "tls": pj.PJSIP_TRANSPORT_TLS,
}
# pjsip writes to the standard output until it has a log, which is then no place for events.
EVENTS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def tell(kind, param=""):
    print(json.dumps({"type": kind, "param": param}), file=EVENTS, flush=True)


class Call(pj.Call):
    def __init__(self, phone, number, call_id=pj.PJSUA_INVALID_ID):
        super().__init__(phone.account, call_id)
        self.phone = phone
        self.recorder = pj.AudioMediaRecorder()
        self.recorder.createRecorder(f"{phone.home}/dump-{number:03}-dec.wav")
        self.speaker = pj.AudioMediaPlayer()
        self.speaker.createPlayer(f"{phone.home}/speak.wav")

    def onCallState(self, _prm):
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_EARLY and info.role == pj.PJSIP_ROLE_UAC:
            tell("CALL_RINGING")
        elif info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            tell("CALL_ESTABLISHED", info.remoteUri)
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.phone.over.append((self, f"{info.lastStatusCode} {info.lastReason}"))

    def onCallMediaState(self, _prm):
        info = self.getInfo()
        for index, media in enumerate(info.media):
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            if media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                audio = self.getAudioMedia(index)
                self.speaker.startTransmit(audio)
                audio.startTransmit(self.recorder)
            tell("MEDIA", HELD.get(media.status, "active"))

    def onCallTransferStatus(self, prm):
        tell("TRANSFER", str(prm.statusCode))


HELD = {
    pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "held by us",
    pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "held by them",
}


class Account(pj.Account):
    phone = None

    def onRegState(self, prm):
        tell("REGISTERED" if prm.code == 200 and prm.expiration else "UNREGISTERED", str(prm.code))

    def onIncomingCall(self, prm):
        self.phone.rung(prm.callId)


class Phone:
    def __init__(self, wish):
        self.home = wish["home"]
        self.calls = []
        self.over = []
        self.answers = []
        self.count = 0
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        self.endpoint.libInit(settings(wish["log"]))
        self.endpoint.audDevManager().setNullDev()
        for codec in self.endpoint.codecEnum2():
            mine = codec.codecId.startswith("PCMU/")
            self.endpoint.codecSetPriority(codec.codecId, 255 if mine else 0)
        transport = self.endpoint.transportCreate(TRANSPORTS[wish["transport"]], way(wish))
        self.endpoint.libStart()
        self.account = Account()
        self.account.phone = self
        self.account.create(account(wish, transport))
        tell("READY")

    def take(self, call_id=pj.PJSUA_INVALID_ID):
        self.count += 1
        call = Call(self, self.count, call_id)
        self.calls.append(call)
        return call

    def rung(self, call_id):
        call = self.take(call_id)
        tell("CALL_INCOMING", call.getInfo().remoteUri)
        answer(call, 180)
        self.answers.append((time.monotonic() + ANSWERS_AFTER_SECONDS, call))

    def do(self, command, param):
        """Commands act on the last call; `attended` moves the first to the other end of it."""
        if command == "dial":
            self.take().makeCall(param, pj.CallOpParam(True))
        elif command == "hangup":
            self.calls[-1].hangup(pj.CallOpParam())
        elif command == "hold":
            self.calls[-1].setHold(pj.CallOpParam())
        elif command == "resume":
            wish = pj.CallOpParam(True)
            wish.opt.flag = pj.PJSUA_CALL_UNHOLD
            self.calls[-1].reinvite(wish)
        elif command == "transfer":
            self.calls[-1].xfer(param, pj.CallOpParam())
        elif command == "attended":
            self.calls[0].xferReplaces(self.calls[-1], pj.CallOpParam())
        else:
            raise ValueError(f"no command {command!r}")

    def run(self):
        while True:
            self.endpoint.libHandleEvents(10)
            for due in [due for due in self.answers if due[0] <= time.monotonic()]:
                self.answers.remove(due)
                if due[1] in self.calls:
                    answer(due[1], 200)
            # A call is taken apart outside of its own events; its recording is whole then.
            while self.over:
                call, why = self.over.pop(0)
                self.calls.remove(call)
                call.recorder = call.speaker = None
                tell("CALL_CLOSED", why)
            if select.select([sys.stdin], [], [], 0)[0]:
                line = sys.stdin.readline()
                if not line:
                    return
                command, _, param = line.strip().partition(" ")
                self.do(command, param)

    def stop(self):
        self.calls.clear()
        self.account.shutdown()
        self.endpoint.libDestroy()


def answer(call, status):
    wish = pj.CallOpParam(True)
    wish.statusCode = status
    call.answer(wish)


def settings(log):
    wish = pj.EpConfig()
    wish.logConfig.level = 5
    wish.logConfig.consoleLevel = 0
    wish.logConfig.filename = log
    wish.logConfig.decor = pj.PJ_LOG_HAS_TIME | pj.PJ_LOG_HAS_SENDER | pj.PJ_LOG_HAS_NEWLINE
    wish.uaConfig.threadCnt = 0
    wish.uaConfig.mainThreadOnly = True
    wish.medConfig.clockRate = 8000
    wish.medConfig.sndClockRate = 8000
    wish.medConfig.noVad = True
    wish.medConfig.ecTailLen = 0
    return wish


def way(wish):
    transport = pj.TransportConfig()
    transport.boundAddress = wish["address"]
    transport.port = wish.get("port", 0)
    if wish.get("authority"):
        # Who answers behind TLS must be the one that this certificate says.
        transport.tlsConfig.CaListFile = wish["authority"]
        transport.tlsConfig.verifyServer = True
    return transport


def account(wish, transport):
    account = pj.AccountConfig()
    account.idUri = wish["id"]
    account.sipConfig.transportId = transport
    account.mediaConfig.transportConfig.boundAddress = wish["address"]
    if wish.get("registrar"):
        account.regConfig.registrarUri = wish["registrar"]
        account.regConfig.timeoutSec = 300
        secret = pj.AuthCredInfo("digest", "*", wish["user"], 0, wish["secret"])
        account.sipConfig.authCreds.append(secret)
    if wish.get("proxy"):
        account.sipConfig.proxies.append(wish["proxy"])
    return account


def main():
    phone = Phone(json.loads(sys.argv[1]))
    try:
        phone.run()
    finally:
        phone.stop()


if __name__ == "__main__":
    main()
