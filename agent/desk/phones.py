"""Action URLs of desk phones: a press by GET, with a token that is the phone's alone, answered as the phone shows it.

Plain text unless asked otherwise; `?format=` or the phone's name in User-Agent picks what its display takes: Yealink's
and Snom's XML browsers, Poly's XHTML microbrowser. A press that is not done is never answered with success.
"""

from html import escape

from fastapi import APIRouter, HTTPException, Request, Response

from agent.desk.hand import CLOSED, Desk, GateReply, Press
from agent.desk.state import WRITING, is_paused
from agent.model.gate import GateState, GateVerb

XML = "text/xml; charset=utf-8"
FORMS = {
    "text": ("text/plain; charset=utf-8", "{text}\n"),
    "yealink": (
        XML,
        '<?xml version="1.0" encoding="UTF-8"?>\n<YealinkIPPhoneTextScreen Beep="{beep}" Timeout="5">'
        "<Title>{title}</Title><Text>{text}</Text></YealinkIPPhoneTextScreen>\n",
    ),
    "snom": (
        XML,
        '<?xml version="1.0" encoding="UTF-8"?>\n<SnomIPPhoneText><Title>{title}</Title><Text>{text}</Text>'
        "</SnomIPPhoneText>\n",
    ),
    "poly": (
        "application/xhtml+xml; charset=utf-8",
        '<?xml version="1.0" encoding="UTF-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{title}</title>'
        "</head><body><p>{text}</p></body></html>\n",
    ),
}
TITLE = "Recording"


def router(desk: Desk) -> APIRouter:
    """The route of phones."""
    routes = APIRouter(prefix="/v1/phone")

    @routes.get("/{token}/{verb}", response_class=Response)
    async def press_phone(request: Request, token: str, verb: str) -> Response:
        """Press on the newest live call of the phone's agent."""
        form = form_of(request)
        try:
            if "prefetch" in request.headers.get("purpose", "") + request.headers.get("sec-purpose", ""):
                raise HTTPException(403, "not done: a press is not for prefetching")
            if verb not in list(GateVerb):
                raise HTTPException(404, "not done: pause, resume, keep or drop")
            who = desk.door.phone(request, token)
            agent = who.extension or ""
            press = Press(GateVerb(verb), {"agent": agent}, who.actor(agent), reason=f"phone {who.name}")
            reply = await desk.press(press)
        except HTTPException as error:
            return shown(form, f"NOT DONE. {error.detail}", status=error.status_code, headers=error.headers)
        return shown(form, words_of(press.verb, reply))

    return routes


def words_of(verb: GateVerb, reply: GateReply) -> str:
    """What the display says after a press that is done."""
    if verb is GateVerb.PAUSE:
        return f"Recording is paused since {reply.since_s:.0f} s"
    if verb is GateVerb.DROP:
        left = sorted(name for name, state in reply.states.items() if state not in (*CLOSED, GateState.IDLE))
        return f"Dropped, but not: {', '.join(left)}" if left else "Recording is dropped"
    if verb is GateVerb.KEEP:
        return "Call is kept"
    if any(is_paused(state) for state in reply.states.values()):
        return "Still paused by: " + ", ".join(sorted({cause for held in reply.causes.values() for cause in held}))
    is_writing = any(state in WRITING for state in reply.states.values())
    return "Recording goes on" if is_writing else "Not paused; nothing is recorded"


def form_of(request: Request) -> str:
    """What the phone's display takes."""
    asked = request.query_params.get("format", "")
    if asked:
        return asked if asked in FORMS else "text"
    if "xml" not in request.headers.get("accept", ""):
        return "text"
    maker = request.headers.get("user-agent", "").lower()
    return next((form for form in ("yealink", "snom", "poly") if form in maker), "text")


def shown(form: str, text: str, *, status: int = 200, headers: object = None) -> Response:
    """An answer in one of `FORMS`."""
    media_type, body = FORMS[form]
    if form != "text":
        text = escape(text)
    filled = body.format(title=TITLE, text=text, beep="no" if status == 200 else "yes")
    more = dict(headers) if isinstance(headers, dict) else {}
    return Response(filled, status, more, media_type)
